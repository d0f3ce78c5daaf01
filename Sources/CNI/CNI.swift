// CNI: the Container Network Interface protocol as values. What a runtime hands a plugin (environment variables and a
// network configuration on stdin) becomes a checked ``Invocation`` and ``NetworkConfiguration``; what the plugin hands
// back becomes JSON of the version asked for. It knows every specification version from 0.1.0 to 1.1.0 and does no
// I/O; what a plugin does when it is called, and its own configuration keys, are none of its business.

/// The largest network configuration that is read, in bytes.
///
/// A runtime adds at most the annotations of a Pod (256 KiB) and a previous result, so that this is never met in
/// earnest; it keeps a stream that does not end from filling the node's memory.
public let maximumConfigurationSize = 4 << 20
