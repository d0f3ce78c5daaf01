import Glibc
import ServiceLifecycle

/// Ends the proxy when its configuration file says something else than at the start (2.12), for its supervisor to start
/// it again.
///
/// It looks once a second: the path may lead through links, as that of a mounted ConfigMap does, and any of them can be
/// replaced, so that notices of the kernel would have to be asked for in several directories, again after each change.
struct ConfigurationWatch: ServiceLifecycle.Service, CustomStringConvertible {
    let description = "configuration file"
    let file: ConfigurationFile

    struct Changed: Error, CustomStringConvertible {
        let path: String

        var description: String { "--config: the content of \(path) has changed; start again to use it" }
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            var seen: FileState?
            var differs = false
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                // A file that is gone may be on its way back.
                guard let state = FileState(of: file.path) else { continue }
                if state == seen {
                    // Twice the same: whoever writes it is done.
                    if differs { throw Changed(path: file.path) }
                } else {
                    seen = state
                    // One that cannot be read would only keep the next start from working.
                    differs = (try? ConfigurationFile.bytes(of: file.path)).map { $0 != file.bytes } ?? false
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
