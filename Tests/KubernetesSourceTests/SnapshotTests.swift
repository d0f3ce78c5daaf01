import ClusterClient
import Foundation
import Glibc
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import KubernetesSource

@Suite struct SnapshotTests {
    private let directory: TemporaryDirectory
    private let file: SnapshotFile
    private let resources: [WatchedResource] = [.services, .endpointSlices, .node(named: "n1")]

    init() throws {
        directory = try TemporaryDirectory()
        file = SnapshotFile(path: "\(directory.path)/objects", cluster: "https://one")
    }

    private static let slices: [KubernetesObject] = (1..<4).map { .slice("s\($0)", version: "\($0)") }
    private static let node = KubernetesObject.node(
        Node(metadata: ObjectMeta(name: "n1", uid: "u", resourceVersion: "7", labels: [LabelKey.zone: "z"]))
    )

    private func write(_ file: SnapshotFile, slices: [KubernetesObject] = Self.slices) throws {
        let header = SnapshotHeader(
            cluster: file.cluster,
            parts: resources.map { .init(kind: $0.kind, scope: $0.scope, resourceVersion: "\($0.kind)-9") }
        )
        var output = try SnapshotOutput(file, header)
        try output.append(slices, part: 1)
        try output.append([Self.node], part: 2)
        try output.finish()
    }

    private func bytes() throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: file.path))) }

    private func put(_ bytes: some Sequence<UInt8>) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: file.path))
        chmod(file.path, 0o600)
    }

    private func reason(_ file: SnapshotFile? = nil) -> String? {
        do {
            _ = try (file ?? self.file).read(resources)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func givesBackWhatWasWritten() throws {
        try write(file)
        let snapshot = try file.read(resources)
        #expect(snapshot.parts.keys.sorted { $0.rawValue < $1.rawValue } == [.endpointSlice, .node, .service])
        #expect(snapshot.parts[.endpointSlice]?.objects == Self.slices)
        #expect(snapshot.parts[.endpointSlice]?.resourceVersion == "endpointSlice-9")
        #expect(snapshot.parts[.node]?.objects == [Self.node])
        #expect(snapshot.parts[.service]?.objects == [])
        #expect(try file.read([.services, .node(named: "n2")]).parts.keys.map { $0 } == [.service])
        var status = stat()
        #expect(stat(file.path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["objects"])
    }

    @Test func staysWhatItWasUntilTheNextOneIsWhole() throws {
        try write(file)
        let old = try bytes()
        var output = try SnapshotOutput(file, SnapshotHeader(cluster: "https://one", parts: []))
        try output.append((0..<1000).map { .slice("long-name-\($0)", version: "1") }, part: 0)
        #expect(try bytes() == old)  // As after a kill: what is beside it does not matter.
        try write(file, slices: [])
        #expect(try file.read(resources).parts[.endpointSlice]?.objects == [])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["objects"])
    }

    @Test func leavesNothingBehindWhenGivenUp() throws {
        let output = try SnapshotOutput(file, SnapshotHeader(cluster: "https://one", parts: []))
        output.abandon()
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
    }

    @Test func isNotUsedWhenCutAtAnyLength() throws {
        try write(file)
        let whole = try bytes()
        for length in 0..<whole.count {
            try put(whole.prefix(length))
            #expect(reason() != nil, "cut to \(length) bytes")
        }
    }

    @Test func isNotUsedWithAnyBitFlipped() throws {
        try write(file)
        let whole = try bytes()
        for index in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[index] ^= 1 << bit
                try put(damaged)
                #expect(reason() != nil, "bit \(bit) of byte \(index)")
            }
        }
    }

    @Test func isNotUsedWithAnythingBehindIt() throws {
        try write(file)
        try put(try bytes() + [0])
        #expect(reason() != nil)
    }

    @Test func saysWhyItIsNotUsed() throws {
        #expect(reason()?.contains("No such file") == true)
        try write(file)
        #expect(reason(SnapshotFile(path: file.path, cluster: "https://two"))?.contains("another cluster") == true)
        var newer = try bytes()
        newer[8] = 3
        try put(newer)
        #expect(reason()?.contains("version 3") == true)
        newer[8] = 1  // It would lack what is read of Nodes since.
        try put(newer)
        #expect(reason()?.contains("version 1") == true)
        try put(Array("hello, I am a text file that is long enough".utf8))
        #expect(reason() == "is no snapshot")
        try write(file)
        chmod(file.path, 0o666)
        #expect(reason()?.contains("others may write it") == true)
        #expect(reason(SnapshotFile(path: directory.path, cluster: "")) == "is no file")
        symlink(file.path, "\(directory.path)/link")
        #expect(reason(SnapshotFile(path: "\(directory.path)/link", cluster: "https://one")) != nil)
    }

    /// Lengths that lie, under a checksum that is right.
    @Test func survivesForgedLengths() throws {
        try write(file)
        let whole = try bytes()
        for index in 0..<whole.count - 4 {
            var forged = Array(whole.dropLast(4))
            forged[index] = 0xff
            var checksum = Checksum()
            checksum.update(forged)
            forged.append(number: checksum.value)
            try put(forged)
            _ = reason()  // It may be used where only text has changed; it must not trap.
        }
        #expect(reason() != nil)
    }
}
