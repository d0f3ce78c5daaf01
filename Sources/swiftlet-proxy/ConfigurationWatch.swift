import Glibc
import ServiceLifecycle

/// Tells when the content of the configuration file changes (2.12).
///
/// It looks once a second: the path may lead through links, as that of a mounted ConfigMap does, and any of them can be
/// replaced, so that notices of the kernel would have to be asked for in several directories, again after each change.
struct ConfigurationWatch: ServiceLifecycle.Service, CustomStringConvertible {
    let description = "configuration file"
    /// As it was at the start.
    let file: ConfigurationFile
    /// An error of it ends the process.
    let changed: @Sendable (ConfigurationFile) async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            var known = file
            var seen: FileState?
            var new: ConfigurationFile?
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                // A file that is gone may be on its way back.
                guard let state = FileState(of: file.path) else { continue }
                if state == seen {
                    // Twice the same: whoever writes it is done.
                    guard let file = new else { continue }
                    new = nil
                    known = file
                    try await changed(file)
                } else {
                    seen = state
                    // One that cannot be read would only keep the next start from working.
                    new = (try? ConfigurationFile(file.path)).flatMap { $0.bytes != known.bytes ? $0 : nil }
                }
            }
        }
    }
}

/// What changes when a file is written, replaced, or made readable.
private struct FileState: Hashable {
    private let numbers: [Int]

    /// `nil` when there is no such file.
    init?(of path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        numbers = [
            Int(truncatingIfNeeded: status.st_dev), Int(truncatingIfNeeded: status.st_ino), Int(status.st_size),
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }
}
