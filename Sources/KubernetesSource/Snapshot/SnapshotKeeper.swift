import ClusterClient
import Dispatch
import KubernetesAPI
import Logging

/// Writes what informers know to a file, and gives it to them at the next start if no server does.
///
/// Objects are encoded and written by a thread of their own, a few at a time, so that events are not held up and memory
/// does not grow with the cluster. What changes in the meantime is in the file in the one state or the other, and makes
/// the next file due.
struct SnapshotKeeper: Sendable {
    private let file: SnapshotFile
    private let resources: [WatchedResource]
    private let informers: Informers
    private let settings: KubernetesSource.Settings
    private let logger: Logger
    private let thread = DispatchQueue(label: "snapshot", qos: .utility)

    /// How many objects are handed over at a time.
    private static let pieceSize = 64

    init(
        _ file: SnapshotFile,
        _ resources: [WatchedResource],
        _ informers: Informers,
        _ settings: KubernetesSource.Settings,
        logger: Logger
    ) {
        self.file = file
        self.resources = resources
        self.informers = informers
        self.settings = settings
        self.logger = logger
    }

    // MARK: At the start

    /// Gives informers the objects of the file if the server takes longer than ``KubernetesSource/Settings/snapshotGrace``.
    func showAfterGrace() async {
        try? await Task.sleep(for: settings.snapshotGrace)
        guard !Task.isCancelled, await !informers.isSynced else { return }
        let known = await informers.syncedKinds
        let wanted = resources.filter { !known.contains($0.kind) }
        do {
            let snapshot = try await onThread { [file] in try file.read(wanted) }
            guard !snapshot.parts.isEmpty else { return }
            let count = snapshot.parts.values.reduce(0) { $0 + $1.objects.count }
            logger.warning(
                "the API server does not answer; a snapshot of what it said is used until it does",
                metadata: ["file": "\(file.path)", "objects": "\(count)"]
            )
            await informers.adopt(snapshot)
        } catch let error as SnapshotError where error.isAbsence {
            logger.info("there is no snapshot to use while the API server is away", metadata: ["file": "\(file.path)"])
        } catch {
            logger.error(
                "a snapshot cannot be used and is ignored; it is replaced when the API server is back",
                metadata: ["error": "\(error)"]
            )
        }
    }

    // MARK: From then on

    /// Keeps the file up to date, at most every ``KubernetesSource/Settings/snapshotInterval``, and when the task is
    /// cancelled.
    func run() async {
        var written: UInt64?
        while !Task.isCancelled {
            try? await Task.sleep(for: settings.snapshotInterval)
            // Also the last one is written in a task that is not cancelled, so that nothing in it gives up.
            let known = written
            written = await Task { await writeIfChanged(since: known) }.value
        }
    }

    private func writeIfChanged(since written: UInt64?) async -> UInt64? {
        // What is not complete must not replace what was.
        guard await informers.isSynced else { return written }
        let changeCount = await informers.changeCount
        guard changeCount != written else { return written }
        do {
            try await write()
            return changeCount
        } catch {
            logger.error("a snapshot cannot be written; it is tried again", metadata: ["error": "\(error)"])
            return written
        }
    }

    private func write() async throws {
        var parts: [SnapshotHeader.Part] = []
        let known = await informers.syncedKinds
        let resources = resources.filter { known.contains($0.kind) }
        for resource in resources {
            let version = await informers.version(resource.kind)
            parts.append(SnapshotHeader.Part(kind: resource.kind, scope: resource.scope, resourceVersion: version))
        }
        let header = SnapshotHeader(cluster: file.cluster, parts: parts)
        var output = try await onThread { [file] in try SnapshotOutput(file, header) }
        do {
            for (index, resource) in resources.enumerated() {
                var names = await informers.names(resource.kind)[...]
                while !names.isEmpty {
                    let piece = await informers.objects(resource.kind, names.prefix(Self.pieceSize))
                    names = names.dropFirst(Self.pieceSize)
                    output = try await onThread { [output] in
                        var output = output
                        try output.append(piece, part: index)
                        return output
                    }
                }
            }
            try await onThread { [output] in
                var output = output
                try output.finish()
            }
        } catch {
            let unfinished = output
            try? await onThread { unfinished.abandon() }
            throw error
        }
    }

    private func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            thread.async { continuation.resume(with: Result(catching: body)) }
        }
    }
}
