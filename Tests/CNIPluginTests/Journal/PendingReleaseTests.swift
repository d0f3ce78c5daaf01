import CNI
import KubernetesAPI
import NetworkTypes
import Testing

@testable import CNIPlugin

/// An entry of the journal as a value.
@Suite struct PendingReleaseTests {
    /// One that etcd has to hear of.
    static func entry(
        _ workload: Workload = .pod(PodReference(namespace: "shop", name: "web-0")),
        _ numbers: [IPAddress: UInt64] = [:],
        container: String = "c1"
    ) throws -> PendingRelease {
        PendingRelease(
            id: try AttachmentID(containerID: container, interfaceName: "eth0"),
            network: "pods",
            workload: workload,
            node: "node-1",
            store: "etcdv3",
            time: try #require(Timestamp("2026-11-20T08:14:03.5Z")),
            sequenceNumbers: numbers
        )
    }

    @Test func readingBack() throws {
        let address = try #require(IPAddress("fd80::1"))
        for entry in [
            try Self.entry(), try Self.entry(.container(id: "c1")),
            try Self.entry(.container(id: "c1"), [address: .max]),
        ] {
            #expect(try PendingRelease(Array(entry.json.text().utf8)) == entry)
        }
    }

    /// A data directory that nobody has made yet, however deep it is.
    @Test func aJournalMakesItsDirectories() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a/b/c/"
        let entry = try Self.entry()
        for _ in 1...2 { try ReleaseJournal(dataDirectory: path).add(entry) }
        #expect(ReleaseJournal(dataDirectory: directory.path + "/a/b/c").names() == [entry.fileName])
        let file = try directory.write("", to: "file")
        #expect(throws: CNIError.self) { try ReleaseJournal(dataDirectory: file + "/a").add(entry) }
    }

    /// What no DEL wrote is refused, whatever it is.
    @Test(arguments: ["", "{", "[]", "{}", #"{"network": "n", "containerID": "../x", "ifname": "eth0"}"#])
    func refused(_ text: String) throws {
        #expect(throws: CNIError.self) { try PendingRelease(Array(text.utf8)) }
        let whole = try Self.entry().json.text()
        for member in ["network", "containerID", "ifname", "node", "store", "time", "namespace"] {
            let less = whole.replacingOccurrences(of: "\"\(member)\"", with: "\"x\"")
            #expect(throws: CNIError.self, "\(member)") { try PendingRelease(Array(less.utf8)) }
        }
    }

    /// D6: an assignment that is later than the DEL is not what it is about.
    @Test func whatItIsAbout() throws {
        let (address, other) = (try #require(IPAddress("10.80.0.1")), try #require(IPAddress("10.80.0.2")))
        let known = try Self.entry(.container(id: "c1"), [address: 7])
        #expect(known.concerns(address, sequenceNumber: 7, timestamp: nil))
        #expect(!known.concerns(address, sequenceNumber: 8, timestamp: "2026-11-20T08:14:00Z"))
        let unknown = try Self.entry()
        #expect(unknown.concerns(other, sequenceNumber: 8, timestamp: "2026-11-20T08:14:03Z"))
        #expect(!unknown.concerns(other, sequenceNumber: 8, timestamp: "2026-11-20T08:14:04Z"))
        #expect(unknown.concerns(other, sequenceNumber: 8, timestamp: "2026-11-20 08:14:04.1 +0000 UTC"))
        #expect(unknown.concerns(other, sequenceNumber: 8, timestamp: nil))
    }

    /// Every attachment has a file of its own.
    @Test func fileNames() throws {
        var names: Set<String> = []
        for network in ["a", "a.b"] {
            for (container, interface) in [("c", "eth0"), ("c", "eth1"), ("b.c", "eth0")] {
                let id = try AttachmentID(containerID: container, interfaceName: interface)
                names.insert(PendingRelease.fileName(id, network: network))
            }
        }
        #expect(names.count == 6)
        #expect(names.allSatisfy { $0.utf8.count == 45 && $0.hasSuffix(".json") })
    }
}
