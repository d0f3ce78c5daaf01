// Manifests: a directory of YAML and JSON files as a source of Kubernetes objects, with inotify. Nothing here knows
// what the objects are for.

import ClusterClient
import Glibc
import KubernetesAPI
import Logging

/// Delivers the objects of the manifest files in a directory, and follows every change of them.
///
/// A file counts as a whole: when it cannot be used, the objects of its last good version stay, and the log says
/// which file, line and reason. Files are read when their writer closes them, or when they are moved into place.
public struct ManifestDirectory: ObjectSource {
    public let kinds = Set(ObjectKind.allCases)

    private let path: String
    private let logger: Logger

    /// How often a directory that is gone is looked for.
    private static let missingInterval = Duration.milliseconds(200)

    /// - Parameter path: of the directory; subdirectories and names that start with a dot are not looked at.
    public init(path: String, logger: Logger) {
        self.path = path
        self.logger = logger
    }

    /// Why a path cannot be a manifest directory, in one clause, or `nil` when it can.
    public static func problem(with path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return String(cString: strerror(errno)) }
        guard status.st_mode & S_IFMT == S_IFDIR else { return "not a directory" }
        return access(path, R_OK | X_OK) == 0 ? nil : String(cString: strerror(errno))
    }

    /// - Throws: ``Unusable`` when there is no such directory at the start; when it goes away later, what it held
    ///   stays, and it is looked for.
    public func run(_ deliver: @Sendable (ObjectBatch) async -> Void) async throws {
        var watch: DirectoryWatch
        do {
            watch = try DirectoryWatch(path)
        } catch {
            throw Unusable(path: path, reason: error.reason)
        }
        var reader = ManifestReader(directory: path, logger: logger)
        var batch = ObjectBatch(changes: reader.scan(watch), synced: kinds)
        await deliver(batch)
        while !Task.isCancelled {
            for await _ in watch.wakeUps {
                let notices = watch.take()
                batch = ObjectBatch(changes: notices.needsScan ? reader.scan(watch) : [])
                for name in notices.names.sorted() { batch.changes += reader.read(name, watch) }
                if !batch.isEmpty { await deliver(batch) }
                if notices.isLost { break }
            }
            guard !Task.isCancelled, let next = await reopen() else { return }
            watch = next
            batch = ObjectBatch(changes: reader.scan(watch))
            if !batch.isEmpty { await deliver(batch) }
        }
    }

    /// Waits until there is a directory again; `nil` when cancelled.
    private func reopen() async -> DirectoryWatch? {
        var isReported = false
        while !Task.isCancelled {
            if let watch = try? DirectoryWatch(path) { return watch }
            if !isReported {
                logger.warning(
                    "the manifest directory is gone; its objects stay until it is back",
                    metadata: ["directory": "\(path)"]
                )
                isReported = true
            }
            try? await Task.sleep(for: Self.missingInterval)  // A cancelled task leaves the loop.
        }
        return nil
    }

    /// There is no manifest directory at this path.
    public struct Unusable: Error, CustomStringConvertible {
        public let path: String
        public let reason: String

        public var description: String { "manifest directory \(path) \(reason)" }
    }
}
