import Glibc

/// A kernel setting could not be read or written.
public struct SysctlError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, as `/proc/sys/net/ipv4/ip_forward`.
    public let path: String
    /// The value that was to be written; `nil` when reading.
    public let value: String?
    /// An error number of `errno.h`.
    public let code: Int32

    public init(path: String, value: String?, code: Int32) {
        self.path = path
        self.value = value
        self.code = code
    }

    public var description: String {
        let action = value.map { "write \"\($0)\" to" } ?? "read"
        return "\(action) \(path): \(errorText(code))"
    }
}

/// A file that holds one value of the kernel, below /proc/sys or /sys.
public struct SettingFile: Hashable, Sendable {
    public let path: String

    public init(path: String) {
        self.path = path
    }

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
