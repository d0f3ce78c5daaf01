import CNI
import Glibc
import KubernetesAPI
import NetworkTypes

/// Lines for a person, on stderr (which the runtime puts into its own log) and in a file when one is configured.
///
/// Logging never fails a verb. Neither the configuration nor the environment is ever logged as a whole: they carry
/// credentials.
struct PluginLog: Sendable {
    let settings: LogSettings
    /// What every line starts with: what is done, for which attachment.
    let subject: String

    func debug(_ message: @autoclosure () -> String) { write(.debug, message) }
    func info(_ message: @autoclosure () -> String) { write(.info, message) }
    func warning(_ message: @autoclosure () -> String) { write(.warning, message) }
    func error(_ message: @autoclosure () -> String) { write(.error, message) }

    private func write(_ level: LogSettings.Level, _ message: () -> String) {
        guard level >= settings.level else { return }
        // One write for one line, so that lines of several plugins do not mix.
        var text = message()
        if text.contains(where: \.isNewline) {
            text = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        }
        let line = "\(level) \(subject): \(text)\n"
        Self.append("swiftlet: " + line, to: STDERR_FILENO)
        guard let path = settings.file, let descriptor = openFile(path) else { return }
        defer { close(descriptor) }
        Self.append("\(Self.timestamp()) [\(getpid())] " + line, to: descriptor)
    }

    private static func append(_ line: String, to descriptor: Int32) {
        var line = line
        line.withUTF8 { bytes in _ = Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
    }

    /// The file to append to, with its predecessor put aside when that is full; `nil` when it cannot be had.
    private func openFile(_ path: String) -> Int32? {
        for _ in 0..<4 {
            let flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
            let descriptor = open(path, flags, 0o600 as mode_t)
            guard descriptor >= 0 else { return nil }
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                close(descriptor)
                return nil
            }
            if status.st_size < settings.maximumSize { return descriptor }
            putAside(path, descriptor, status)
            close(descriptor)
        }
        return nil
    }

    /// Renames the full file to `.1`, that one to `.2`, and so on. Of several plugins one does it.
    private func putAside(_ path: String, _ descriptor: Int32, _ opened: stat) {
        guard flock(descriptor, LOCK_EX) == 0 else { return }
        var named = stat()
        guard lstat(path, &named) == 0, named.st_ino == opened.st_ino, named.st_dev == opened.st_dev else { return }
        guard settings.maximumCount > 0 else {
            unlink(path)
            return
        }
        for number in stride(from: settings.maximumCount, to: 1, by: -1) {
            rename("\(path).\(number - 1)", "\(path).\(number)")
        }
        rename(path, "\(path).1")
        removeOld(path)
    }

    /// Removes the files that were put aside too long ago.
    private func removeOld(_ path: String) {
        let now = time(nil)
        for number in 1...settings.maximumCount {
            var status = stat()
            guard lstat("\(path).\(number)", &status) == 0 else { continue }
            if now - status.st_mtim.tv_sec > settings.maximumAge { unlink("\(path).\(number)") }
        }
    }

    /// The time in UTC, as `2026-11-21T04:05:11Z`.
    static func timestamp() -> String { Timestamp.now.wholeSecond.description }
}

/// Addresses for a line of the log; quicker than an array's description, which looks up what its elements conform to.
func listing(_ addresses: [IPAddress]) -> String {
    // The usual one needs no generic code, which is slow the first time.
    addresses.count == 1 ? addresses[0].description : addresses.map(\.description).joined(separator: ", ")
}
