import Glibc
import Netlink

/// A CNI plugin, called as a runtime does: a process with a request on stdin and an answer on stdout.
public struct Plugin: Sendable {
    public let path: String
    /// CNI_PATH.
    let searchPath: String

    public init(_ path: String, searchPath: String = "/nonexistent") {
        self.path = path
        self.searchPath = searchPath
    }

    /// Starts a call in the network namespace of the calling thread.
    ///
    /// - Parameter pod: a namespace that this process holds open, through whose descriptors the plugin reaches it.
    public func start(
        _ command: String,
        container: String = "",
        pod: NetworkNamespace? = nil,
        configuration: String
    ) throws -> ProgramRun {
        try ProgramRun(
            path,
            environment: [
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CNI_COMMAND=\(command)", "CNI_CONTAINERID=\(container)",
                "CNI_NETNS=\(pod.map { "/proc/\(getpid())/fd/\($0.descriptor)" } ?? "")", "CNI_IFNAME=eth0",
                "CNI_PATH=\(searchPath)",
            ],
            input: configuration
        )
    }
}
