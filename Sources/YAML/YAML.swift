// YAML: YAML text to JSON text, over libyaml, for whatever people write in YAML: manifests, kubeconfig files, Calico's
// resources. What the JSON means is its callers' business.

/// Why a text is no YAML that can be used.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1; `nil` when no line is to blame.
    public let line: Int?
    public let reason: String

    public init(line: Int?, reason: String) {
        self.line = line
        self.reason = reason
    }

    public var description: String { line.map { "line \($0): \(reason)" } ?? reason }
}
