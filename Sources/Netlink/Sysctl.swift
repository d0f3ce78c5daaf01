import Glibc

/// A kernel setting could not be read or written.
public struct SysctlError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, as `/proc/sys/net/ipv4/ip_forward`.
    public let path: String
    /// The value that was to be written; `nil` when reading.
    public let value: String?
    /// An error number of `errno.h`.
    public let code: Int32

    public var description: String {
        let action = value.map { "write \"\($0)\" to" } ?? "read"
        return "\(action) \(path): \(errorText(code))"
    }
}

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

    public var path: String { "/proc/sys/net/" + components.joined(separator: "/") }

    public var description: String { path }

    /// The value, without the line break at its end.
    public func read() throws(SysctlError) -> String {
        let descriptor = try open(O_RDONLY, value: nil)
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        var count = 0
        repeat { count = Glibc.read(descriptor, &buffer, buffer.count) } while count < 0 && errno == EINTR
        guard count >= 0 else { throw SysctlError(path: path, value: nil, code: errno) }
        var text = buffer[..<count]
        while let last = text.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: " ") { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }

    /// Writes a value. Where that is not allowed, as /proc/sys is mounted read-only, it is enough that the setting has
    /// the value already.
    public func write(_ value: String) throws(SysctlError) {
        let descriptor: Int32
        do throws(SysctlError) {
            descriptor = try open(O_WRONLY, value: value)
        } catch {
            guard [EROFS, EACCES, EPERM].contains(error.code), try read() == value else { throw error }
            return
        }
        defer { close(descriptor) }
        var count = 0
        repeat { count = Glibc.write(descriptor, value, value.utf8.count) } while count < 0 && errno == EINTR
        guard count == value.utf8.count else {
            throw SysctlError(path: path, value: value, code: count < 0 ? errno : EIO)
        }
    }

    private func open(_ mode: Int32, value: String?) throws(SysctlError) -> Int32 {
        while true {
            let descriptor = Glibc.open(path, mode | O_CLOEXEC)
            if descriptor >= 0 { return descriptor }
            guard errno == EINTR else { throw SysctlError(path: path, value: value, code: errno) }
        }
    }
}
