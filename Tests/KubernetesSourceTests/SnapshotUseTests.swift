import ClusterClient
import Foundation
import KubernetesAPI
import TestAPIServer
import TestSupport
import Testing

@testable import KubernetesSource

@Suite(.timeLimit(.minutes(2))) struct SnapshotUseTests {
    private let directory: TemporaryDirectory
    private let file: SnapshotFile
    private let resources: [WatchedResource] = [.services]

    init() throws {
        directory = try TemporaryDirectory()
        file = SnapshotFile(path: "\(directory.path)/objects", cluster: "one")
    }

    private func server() async throws -> TestAPIServer {
        var options = TestAPIServer.Options()
        options.security = .plain
        return try await TestAPIServer(options)
    }

    private var stored: [String]? {
        (try? file.read(resources))?.parts[.service]?.objects.map(\.metadata.name).sorted()
    }

    @Test func isWrittenWhenSomethingChangedAndOnStop() async throws {
        let server = try await server()
        try server.put(serviceJSON("a"))
        let source = try FollowedSource(server, resources, snapshot: file)
        await eventually { stored == ["a"] }
        let written = try FileManager.default.attributesOfItem(atPath: file.path)[.modificationDate] as? Date
        try await Task.sleep(for: .milliseconds(300))
        let later = try FileManager.default.attributesOfItem(atPath: file.path)[.modificationDate] as? Date
        #expect(written == later)
        try server.put(serviceJSON("b"))
        await eventually { stored == ["a", "b"] }
        await source.stop()

        let patient = try FollowedSource(server, resources, snapshot: file) { $0.snapshotInterval = .seconds(1000) }
        try server.put(serviceJSON("c"))
        await eventually { patient.service("c") != nil }
        #expect(stored == ["a", "b"])
        await patient.stop()
        #expect(stored == ["a", "b", "c"])
        await server.stop()
    }

    @Test func isShownWhileTheServerIsAwayAndThenReplacedByDifferences() async throws {
        let server = try await server()
        for name in ["a", "b", "c"] { try server.put(serviceJSON(name)) }
        let before = try FollowedSource(server, resources, snapshot: file)
        await eventually { before.synced == [.service] }
        await before.stop()
        await server.suspend()
        server.delete(.services, namespace: "default", name: "a")
        try server.put(serviceJSON("b", port: 81))

        let source = try FollowedSource(server, resources, snapshot: file) { $0.snapshotGrace = .milliseconds(100) }
        await eventually { source.synced == [.service] }
        #expect(source.names(.service) == ["a", "b", "c"])
        #expect(source.log.count("a snapshot of what it said is used") == 1)
        #expect(source.changes == 3)
        try await server.resume()
        await eventually { source.names(.service) == ["b", "c"] }
        #expect(source.service("b")?.ports.first?.port == 81)
        #expect(source.changes == 5)
        await source.stop()
        #expect(stored == ["b", "c"])
        await server.stop()
    }

    @Test func staysWhatItWasWhileTheServerIsAway() async throws {
        let server = try await server()
        try server.put(serviceJSON("a"))
        let before = try FollowedSource(server, resources, snapshot: file)
        await eventually { before.synced == [.service] }
        await before.stop()
        let old = try Data(contentsOf: URL(fileURLWithPath: file.path))
        await server.suspend()
        let source = try FollowedSource(server, resources, snapshot: file) { $0.snapshotGrace = .milliseconds(100) }
        await eventually { source.synced == [.service] }
        await source.stop()
        #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == old)
        await server.stop()
    }

    @Test func isNotShownWhenTheServerAnswersInTime() async throws {
        let server = try await server()
        try server.put(serviceJSON("old"))
        let before = try FollowedSource(server, resources, snapshot: file)
        await eventually { before.synced == [.service] }
        await before.stop()
        server.delete(.services, namespace: "default", name: "old")
        let source = try FollowedSource(server, resources, snapshot: file) { $0.snapshotGrace = .seconds(2) }
        await eventually { source.synced == [.service] }
        #expect(source.names(.service) == [])
        #expect(source.changes == 0)
        await source.stop()
        await server.stop()
    }

    @Test func isIgnoredAndReplacedWhenItIsDamagedOrForeign() async throws {
        let server = try await server()
        try server.put(serviceJSON("a"))
        let before = try FollowedSource(server, resources, snapshot: SnapshotFile(path: file.path, cluster: "two"))
        await eventually { before.synced == [.service] }
        await before.stop()
        await server.suspend()
        let source = try FollowedSource(server, resources, snapshot: file) { $0.snapshotGrace = .milliseconds(50) }
        await eventually { source.log.count("cannot be used and is ignored") == 1 }
        #expect(source.log.lines.contains { $0.contains("of another cluster (two)") })
        #expect(source.batches == 0)
        try await server.resume()
        await eventually { stored == ["a"] }
        await source.stop()
        await server.stop()
    }
}
