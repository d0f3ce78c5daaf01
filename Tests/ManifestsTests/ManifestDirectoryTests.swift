import ClusterClient
import Foundation
import KubernetesAPI
import Logging
import NetworkTypes
import Synchronization
import Testing

@testable import Manifests

@Suite struct ManifestDirectoryTests {
    /// The state that a consumer has, built from nothing but batches.
    private final class Consumer: Sendable {
        struct State {
            var objects: [ObjectKey: KubernetesObject] = [:]
            var synced: Set<ObjectKind> = []
            var redundant: [ObjectChange] = []
        }

        let state = Mutex(State())

        func take(_ batch: ObjectBatch) {
            state.withLock { state in
                for change in batch.changes {
                    switch change {
                    case .set(let object):
                        if state.objects[object.key] == object { state.redundant.append(change) }
                        state.objects[object.key] = object
                    case .delete(let key):
                        if state.objects.removeValue(forKey: key) == nil { state.redundant.append(change) }
                    }
                }
                state.synced.formUnion(batch.synced)
            }
        }

        /// The ports of the Services, by name.
        var ports: [String: UInt16] {
            state.withLock { state in
                var ports: [String: UInt16] = [:]
                for case .service(let service) in state.objects.values {
                    ports[service.metadata.name] = service.ports.first?.port
                }
                return ports
            }
        }

        func waitFor(_ expected: [String: UInt16], sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let deadline = ContinuousClock.now + .seconds(10)
            while ports != expected, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(2)) }
            #expect(ports == expected, sourceLocation: sourceLocation)
        }
    }

    /// Keeps what is logged, with its metadata, as one line each.
    private struct Recorder: LogHandler {
        final class Lines: Sendable {
            let lines = Mutex<[String]>([])
        }

        let output: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
            output.lines.withLock { $0.append("\(event.level) \(event.message)\(details)") }
        }
    }

    private struct Fixture {
        let directory: String
        let consumer = Consumer()
        let log = Recorder.Lines()

        func path(_ name: String) -> String { "\(directory)/\(name)" }

        func write(_ name: String, _ text: String) throws {
            try text.write(toFile: path(name), atomically: false, encoding: .utf8)
        }

        func waitForLog(_ parts: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let deadline = ContinuousClock.now + .seconds(10)
            func isThere() -> Bool {
                log.lines.withLock { lines in lines.contains { line in parts.allSatisfy { line.contains($0) } } }
            }
            while !isThere(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(2)) }
            #expect(isThere(), "\(log.lines.withLock { $0 })", sourceLocation: sourceLocation)
        }
    }

    private func withSource(
        prepare: (Fixture) throws -> Void = { _ in },
        _ body: (Fixture) async throws -> Void
    ) async throws {
        let fixture = Fixture(directory: NSTemporaryDirectory() + "manifests-\(UUID().uuidString)/dir")
        try FileManager.default.createDirectory(atPath: fixture.directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: fixture.directory.dropLast(4).description) }
        try prepare(fixture)
        let logger = Logger(label: "test") { _ in Recorder(output: fixture.log) }
        let source = ManifestDirectory(path: fixture.directory, logger: logger)
        let consumer = fixture.consumer
        try await withThrowingTaskGroup { group in
            group.addTask { try await source.run { consumer.take($0) } }
            let deadline = ContinuousClock.now + .seconds(10)
            while consumer.state.withLock({ $0.synced }) != source.kinds, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(1))
            }
            try await body(fixture)
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(consumer.state.withLock { $0.redundant } == [])
    }

    private func service(_ name: String, _ port: Int) -> String {
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: \(name)}\nspec:\n  ports:\n  - port: \(port)\n"
    }

    @Test func filesAreFollowed() async throws {
        try await withSource(prepare: { try $0.write("a.yaml", service("a", 1) + service("b", 2)) }) { fixture in
            try await fixture.consumer.waitFor(["a": 1, "b": 2])
            try fixture.write("a.yaml", service("a", 10) + service("b", 2))
            try await fixture.consumer.waitFor(["a": 10, "b": 2])
            // As editors save: beside, then renamed over it.
            try fixture.write(".a.swp", service("a", 11))
            #expect(rename(fixture.path(".a.swp"), fixture.path("a.yaml")) == 0)
            try await fixture.consumer.waitFor(["a": 11])
            try fixture.write(
                "b.json",
                #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"j"},"spec":{"ports":[{"port":5}]}}"#
            )
            try await fixture.consumer.waitFor(["a": 11, "j": 5])
            #expect(rename(fixture.path("b.json"), fixture.path("c.yml")) == 0)
            try fixture.write("notes.txt", service("no", 1))
            try await fixture.consumer.waitFor(["a": 11, "j": 5])
            #expect(unlink(fixture.path("a.yaml")) == 0)
            try await fixture.consumer.waitFor(["j": 5])
            #expect(unlink(fixture.path("c.yml")) == 0)
            try await fixture.consumer.waitFor([:])
        }
    }

    @Test func aBrokenFileKeepsItsLastGoodState() async throws {
        try await withSource(prepare: { try $0.write("bad.yaml", service("n", 0)) }) { fixture in
            try await fixture.waitForLog("error", "file=\(fixture.path("bad.yaml"))", "line=7", "spec.ports[0].port")
            try fixture.write("a.yaml", service("a", 1) + service("b", 2))
            try await fixture.consumer.waitFor(["a": 1, "b": 2])
            try fixture.write("a.yaml", service("a", 5) + "---\nkind: ]\n")
            try await fixture.waitForLog("error", "file=\(fixture.path("a.yaml"))", "line=9", "not valid YAML")
            try fixture.write("c.yaml", service("c", 3))
            try await fixture.consumer.waitFor(["a": 1, "b": 2, "c": 3])
            try fixture.write("a.yaml", service("a", 6))
            try await fixture.consumer.waitFor(["a": 6, "c": 3])
            try await fixture.waitForLog("can be used again", fixture.path("a.yaml"))
        }
    }

    @Test func aFileIsReadWhenItsWriterIsDone() async throws {
        try await withSource(prepare: { try $0.write("a.yaml", service("a", 1)) }) { fixture in
            let handle = try #require(FileHandle(forWritingAtPath: fixture.path("a.yaml")))
            try handle.truncate(atOffset: 0)
            try handle.write(contentsOf: Data("apiVersion: v1\nkind: [".utf8))
            // Another file that is complete shows that notices are being acted on meanwhile.
            try fixture.write("b.yaml", service("b", 2))
            try await fixture.consumer.waitFor(["a": 1, "b": 2])
            #expect(fixture.log.lines.withLock { $0 }.allSatisfy { !$0.hasPrefix("error") })
            try handle.truncate(atOffset: 0)
            try handle.write(contentsOf: Data(service("a", 9).utf8))
            try handle.close()
            try await fixture.consumer.waitFor(["a": 9, "b": 2])
        }
    }

    @Test func aMountedConfigMapIsFollowed() async throws {
        func version(_ fixture: Fixture, _ name: String, _ port: Int) throws {
            try FileManager.default.createDirectory(atPath: fixture.path(name), withIntermediateDirectories: false)
            try fixture.write("\(name)/web.yaml", service("web", port))
        }
        try await withSource(prepare: { fixture in
            try version(fixture, "..1", 1)
            #expect(symlink("..1", fixture.path("..data")) == 0)
            #expect(symlink("..data/web.yaml", fixture.path("web.yaml")) == 0)
        }) { fixture in
            try await fixture.consumer.waitFor(["web": 1])
            for round in 2...4 {
                try version(fixture, "..\(round)", round)
                #expect(symlink("..\(round)", fixture.path("..data_tmp")) == 0)
                #expect(rename(fixture.path("..data_tmp"), fixture.path("..data")) == 0)
                try FileManager.default.removeItem(atPath: fixture.path("..\(round - 1)"))
                try await fixture.consumer.waitFor(["web": UInt16(round)])
            }
            // A link to a file elsewhere.
            let outside = fixture.directory + "/../outside.yaml"
            try service("out", 1).write(toFile: outside, atomically: true, encoding: .utf8)
            #expect(symlink(outside, fixture.path("out.yaml")) == 0)
            try await fixture.consumer.waitFor(["web": 4, "out": 1])
            try service("out", 2).write(toFile: outside, atomically: true, encoding: .utf8)
            try await fixture.consumer.waitFor(["web": 4, "out": 2])
        }
    }

    @Test func aDirectoryMayGoAndComeBack() async throws {
        try await withSource(prepare: { try $0.write("a.yaml", service("a", 1)) }) { fixture in
            try await fixture.consumer.waitFor(["a": 1])
            let away = fixture.directory + ".away"
            #expect(rename(fixture.directory, away) == 0)
            try await fixture.waitForLog("the manifest directory is gone")
            #expect(fixture.consumer.ports == ["a": 1])
            try FileManager.default.createDirectory(atPath: away + ".new", withIntermediateDirectories: false)
            try service("b", 2).write(toFile: away + ".new/b.yaml", atomically: true, encoding: .utf8)
            #expect(rename(away + ".new", fixture.directory) == 0)
            try await fixture.consumer.waitFor(["b": 2])
            try fixture.write("b.yaml", service("b", 3))
            try await fixture.consumer.waitFor(["b": 3])
        }
    }

    @Test func theSameObjectInTwoFilesIsReported() async throws {
        try await withSource(prepare: {
            try $0.write("a.yaml", service("x", 1))
            try $0.write("b.yaml", service("x", 2))
        }) { fixture in
            try await fixture.consumer.waitFor(["x": 1])
            try await fixture.waitForLog(
                "defined twice",
                "Service default/x",
                "b.yaml",
                "first=\(fixture.path("a.yaml"))"
            )
            #expect(unlink(fixture.path("a.yaml")) == 0)
            try await fixture.consumer.waitFor(["x": 2])
        }
    }

    @Test func oddFilesDoNoHarm() async throws {
        try await withSource(prepare: { fixture in
            #expect(mkfifo(fixture.path("fifo.yaml"), 0o600) == 0)
            try FileManager.default.createDirectory(
                atPath: fixture.path("dir.yaml"),
                withIntermediateDirectories: false
            )
            #expect(symlink("nowhere", fixture.path("dangling.yaml")) == 0)
            #expect(symlink("loop.yaml", fixture.path("loop.yaml")) == 0)
            try fixture.write("huge.yaml", "")
            #expect(truncate(fixture.path("huge.yaml"), 100 << 20) == 0)
            try fixture.write("good.yaml", service("good", 1))
        }) { fixture in
            try await fixture.consumer.waitFor(["good": 1])
            try await fixture.waitForLog("error", "huge.yaml", "larger than 64 MiB")
            try await fixture.waitForLog("error", "loop.yaml", "cannot be read")
        }
    }

    /// Many writers at once; what is there in the end is what the consumer has.
    @Test func aStormOfChangesEndsInTheRightState() async throws {
        try await withSource { fixture in
            var expected: [String: UInt16] = [:]
            var random = SystemRandomNumberGenerator()
            for round in 1...400 {
                let name = "s\(Int.random(in: 0..<20, using: &random))"
                if Int.random(in: 0..<4, using: &random) == 0 {
                    unlink(fixture.path("\(name).yaml"))
                    expected[name] = nil
                } else {
                    try fixture.write("\(name).yaml", service(name, round))
                    expected[name] = UInt16(round)
                }
            }
            try await fixture.consumer.waitFor(expected)
        }
    }

    @Test func aMissingDirectoryIsAnErrorAtTheStart() async {
        let source = ManifestDirectory(path: "/nonexistent/manifests", logger: Logger(label: "test"))
        await #expect(throws: ManifestDirectory.Unusable.self) { try await source.run { _ in } }
    }
}
