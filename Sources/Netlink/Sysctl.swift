/// A setting under /proc/sys/net, in the network namespace of the thread that reads or writes it.
///
/// It is named by its directories, since the dotted form cannot tell the dots in an interface's name from its own.
public struct Sysctl: Hashable, Sendable, CustomStringConvertible {
    /// The path below /proc/sys/net, as `["ipv4", "conf", "eth0.5", "forwarding"]`.
    public let components: [String]

    /// `nil` when a component is empty, `.` or `..`, or holds a slash or a NUL, and so would name another file.
    public init?(_ components: [String]) {
        let isValid =
            !components.isEmpty
            && components.allSatisfy { component in
                !component.isEmpty && component != "." && component != ".."
                    && !component.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
            }
        guard isValid else { return nil }
        self.components = components
    }

    public init?(_ components: String...) {
        self.init(components)
    }

    public var path: String { components.reduce("/proc/sys/net") { $0 + "/" + $1 } }

    public var description: String { path }

    /// The value, without the line break at its end.
    public func read() throws(SysctlError) -> String { try SettingFile(path: path).read() }

    /// Writes a value. Where that is not allowed, as /proc/sys is mounted read-only, it is enough that the setting has
    /// the value already.
    public func write(_ value: String) throws(SysctlError) { try SettingFile(path: path).write(value) }
}
