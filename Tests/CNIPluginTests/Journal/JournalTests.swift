import CNI
import Foundation
import TestSupport
import Testing

@testable import CNIPlugin

/// DEL with a store that is away, and what becomes of it when the store is back (D6).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct JournalTests {
    private static let pods = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME="

    /// The files in the journal.
    private func entries(_ bench: Bench) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: bench.dataDirectory + "/pending-releases")) ?? [])
            .sorted()
    }

    /// Holds the local store's lock meanwhile.
    private func locked<Value>(_ bench: Bench, _ body: () async throws -> Value) async throws -> Value {
        let lock = open(bench.dataDirectory + "/store/lock", O_RDWR)
        try #require(flock(lock, LOCK_EX) == 0)
        defer { close(lock) }
        return try await body()
    }

    @Test func aLockedLocalStoreHearsOfItLater() async throws {
        let bench = try Bench()
        let (first, second) = (try bench.pod(), try bench.pod())
        let added = try await bench.call("ADD", "c1", namespace: first, arguments: Self.pods + "a")
        let kept = try await bench.call("ADD", "c2", namespace: second, arguments: Self.pods + "b")
        let deleted = try await locked(bench) {
            try await bench.call("DEL", "c1", namespace: first, arguments: Self.pods + "a")
        }
        #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
        #expect(deleted.output == "")
        #expect(try bench.podAddresses(first) == [])
        #expect(try bench.hostRoutes() == kept.addresses)
        #expect(entries(bench).count == 1)
        #expect(try await bench.assignedAddresses() == (added.addresses + kept.addresses).sorted())
        // STATUS changes nothing; an ADD of another pod does it in passing.
        #expect(try await bench.run(["CNI_COMMAND": "STATUS"], stdin: bench.configuration()).status == 0)
        #expect(entries(bench).count == 1)
        let later = try await bench.call("ADD", "c3", namespace: bench.pod(), arguments: Self.pods + "c")
        #expect(later.status == 0, "\(later.output)")
        #expect(entries(bench) == [])
        #expect(try await bench.assignedAddresses() == (kept.addresses + later.addresses).sorted())
        #expect(try await bench.recordedAddresses() == (kept.addresses + later.addresses).sorted())
    }

    /// The journal's release is not that of an address which the same container got later.
    @Test func anAttachmentThatComesBackKeepsWhatItGets() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let first = try await bench.call("ADD", "c1", namespace: pod)
        let deleted = try await locked(bench) { try await bench.call("DEL", "c1", namespace: pod) }
        #expect(deleted.status == 0, "\(deleted.output)")
        let entry = try #require(entries(bench).first)
        let path = bench.dataDirectory + "/pending-releases/" + entry
        let content = try #require(FileManager.default.contents(atPath: path))
        let second = try await bench.call("ADD", "c1", namespace: pod)
        #expect(second.status == 0, "\(second.output) \(second.log)")
        #expect(second.addresses != first.addresses || entries(bench) == [])
        #expect(entries(bench) == [])
        #expect(try await bench.assignedAddresses() == second.addresses)
        // Power was lost before the file's removal reached the disk, and the clock shows that it is about the past.
        let past = String(decoding: content, as: UTF8.self)
            .replacingOccurrences(
                of: #""time":"[^"]*""#,
                with: #""time":"2020-01-01T00:00:00Z""#,
                options: .regularExpression
            )
        try past.write(toFile: path, atomically: true, encoding: .utf8)
        let other = try await bench.call("ADD", "c2", namespace: bench.pod())
        #expect(other.status == 0)
        #expect(entries(bench) == [])
        #expect(try await bench.assignedAddresses() == (second.addresses + other.addresses).sorted())
    }

    /// The DEL is repeated when the store is back: the journal has nothing to do any more. GC settles what is left.
    @Test func aRepeatedDeleteAndGarbageCollectionSettleIt() async throws {
        let bench = try Bench()
        let pods = [try bench.pod(), try bench.pod()]
        for (index, pod) in pods.enumerated() {
            #expect(try await bench.call("ADD", "c\(index)", namespace: pod).status == 0)
        }
        try await locked(bench) { () async throws in
            for (index, pod) in pods.enumerated() {
                #expect(try await bench.call("DEL", "c\(index)", namespace: pod).status == 0)
            }
            // Once more, as a runtime may: it is noted already.
            #expect(try await bench.call("DEL", "c1", namespace: nil).status == 0)
        }
        #expect(entries(bench).count == 2)
        let collected = try await bench.run(["CNI_COMMAND": "GC"], stdin: bench.configuration())
        #expect(collected.status == 0, "\(collected.output)")
        #expect(entries(bench) == [])
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == [])
    }

    /// Those of a store that stays away do not keep ours from being carried out.
    @Test func entriesOfOthersDoNotHinder() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let deleted = try await locked(bench) { try await bench.call("DEL", "c1", namespace: pod) }
        #expect(deleted.status == 0, "\(deleted.output)")
        let journal = ReleaseJournal(dataDirectory: bench.dataDirectory)
        for number in 0..<150 { try journal.add(PendingReleaseTests.entry(container: "other\(number)")) }
        let added = try await bench.call("ADD", "c2", namespace: bench.pod())
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(entries(bench).count == 150)
        #expect(try await bench.assignedAddresses() == added.addresses)
    }

    @Test func strictModeFailsAsBefore() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let strict = bench.configuration(extra: #", "del_mode": "strict""#)
        #expect(try await bench.call("ADD", "c1", namespace: pod, strict).status == 0)
        let deleted = try await locked(bench) { try await bench.call("DEL", "c1", namespace: pod, strict) }
        #expect(deleted.code == 11, "\(deleted.output)")
        #expect(entries(bench) == [])
        let odd = bench.configuration(extra: #", "del_mode": "sometimes""#)
        #expect(try await bench.call("DEL", "c1", namespace: pod, odd).code == 2)
        #expect(try await bench.call("DEL", "c1", namespace: pod, strict).status == 0)
    }

    /// What cannot be read is put aside and told, and keeps nothing else from its release.
    @Test func damagedEntriesArePutAside() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let deleted = try await locked(bench) { try await bench.call("DEL", "c1", namespace: pod) }
        #expect(deleted.status == 0, "\(deleted.output)")
        let directory = bench.dataDirectory + "/pending-releases/"
        try "{".write(toFile: directory + "0000.json", atomically: true, encoding: .utf8)
        try FileManager.default.createDirectory(atPath: directory + "1111.json", withIntermediateDirectories: true)
        try "".write(toFile: directory + "4194303.new", atomically: true, encoding: .utf8)
        let added = try await bench.call("ADD", "c2", namespace: bench.pod())
        #expect(added.status == 0, "\(added.output)")
        #expect(added.log.contains("damaged"), "\(added.log)")
        #expect(entries(bench).allSatisfy { $0.hasSuffix(".damaged") }, "\(entries(bench))")
        #expect(try await bench.assignedAddresses() == added.addresses)
    }

    @Test func aFullJournalIsTold() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let directory = bench.dataDirectory + "/pending-releases"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for number in 0..<ReleaseJournal.capacity {
            _ = FileManager.default.createFile(atPath: "\(directory)/\(number).json", contents: Data())
        }
        let deleted = try await locked(bench) { try await bench.call("DEL", "c1", namespace: pod) }
        #expect(deleted.code == 11, "\(deleted.output)")
        #expect(deleted.log.contains("is full"))
        #expect(try bench.hostLinks() == [])
    }

    /// DELs are killed at any moment while the store is locked; nothing is released twice, and in the end all is.
    @Test func killedAtAnyMoment() async throws {
        let bench = try Bench()
        let kept = try await bench.call("ADD", "kept", namespace: bench.pod())
        for round in 0..<6 {
            let pod = try bench.pod()
            #expect(try await bench.call("ADD", "c\(round)", namespace: pod).status == 0)
            try await locked(bench) {
                // A DEL gives up waiting for the store after three seconds, and then writes.
                _ = try await bench.run(
                    bench.environment("DEL", "c\(round)", namespace: pod),
                    stdin: bench.configuration(),
                    killAfter: .milliseconds(3000 + 4 * Int.random(in: 0...20))
                )
            }
            if round.isMultiple(of: 2) {
                let replaying = bench.environment("ADD", "r\(round)", namespace: try bench.pod())
                _ = try await bench.run(
                    replaying,
                    stdin: bench.configuration(),
                    killAfter: .milliseconds(Int.random(in: 1...30))
                )
                #expect(try await bench.call("DEL", "r\(round)", namespace: nil).status == 0)
            }
            #expect(try await bench.call("DEL", "c\(round)", namespace: pod).status == 0)
            #expect(try await bench.assignedAddresses() == kept.addresses, "\(round)")
            #expect(try await bench.recordedAddresses() == kept.addresses, "\(round)")
        }
        #expect(entries(bench) == [])
        #expect(try bench.hostRoutes() == kept.addresses)
    }

    // MARK: Stores that nodes share

    @Test(arguments: ClusterStore.allCases)
    func aSharedStoreThatComesBack(_ kind: ClusterStore) async throws {
        let cluster = try await ClusterBench(kind)
        let bench = cluster.bench
        let pods = try ["a", "b", "c"].map { try cluster.schedule($0, container: $0) }
        let (first, second) = (try bench.pod(), try bench.pod())
        let added = try await cluster.call("ADD", "a", namespace: first, arguments: pods[0])
        let kept = try await cluster.call("ADD", "b", namespace: second, arguments: pods[1])
        try cluster.lose(hanging: false)
        let deleted = try await cluster.call("DEL", "a", namespace: first, arguments: pods[0])
        #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
        #expect(try Set(bench.hostRoutes()) == Set(kept.addresses))
        #expect(entries(bench).count == 1)
        try cluster.reach()
        #expect(try await cluster.assignedAddresses() == (added.addresses + kept.addresses).sorted())
        let later = try await cluster.call("ADD", "c", namespace: bench.pod(), arguments: pods[2])
        #expect(later.status == 0, "\(later.output) \(later.log)")
        #expect(entries(bench) == [], "\(later.log)")
        #expect(try await cluster.assignedAddresses() == (kept.addresses + later.addresses).sorted())
        #expect(try await cluster.recordedAddresses() == (kept.addresses + later.addresses).sorted())
    }

    /// GC4: what is attached while GC is at the journal is not in the runtime's list, and stays.
    @Test func attachedWhileTheJournalIsSettled() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let bench = cluster.bench
        let pods = try ["a", "b"].map { try cluster.schedule($0, container: $0) }
        let first = try bench.pod()
        #expect(try await cluster.call("ADD", "a", namespace: first, arguments: pods[0]).status == 0)
        try cluster.lose(hanging: false)
        #expect(try await cluster.call("DEL", "a", namespace: first, arguments: pods[0]).status == 0)
        #expect(entries(bench).count == 1)
        try cluster.reach()
        let blocks = "/apis/crd.projectcalico.org/v1/ipamblocks"
        let slow = try cluster.server.addFault(.init(.delay(.seconds(6)), method: "PUT", path: blocks))
        async let collecting = cluster.collect(valid: [])
        let deadline = ContinuousClock.now + .seconds(30)
        while try cluster.server.hits(of: slow) == 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        let added = try await cluster.call("ADD", "b", namespace: bench.pod(), arguments: pods[1])
        #expect(added.status == 0, "\(added.output) \(added.log)")
        let collected = try await collecting
        #expect(collected.status == 0, "\(collected.output) \(collected.log)")
        #expect(entries(bench) == [], "\(collected.log)")
        #expect(try await cluster.assignedAddresses() == added.addresses.sorted())
        #expect(try await cluster.recordedAddresses() == added.addresses.sorted())
        #expect(try Set(bench.hostRoutes()) == Set(added.addresses))
    }

    /// C1: credentials that are gone keep no pod from ending.
    @Test func missingCredentialsLeaveAnEntry() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let pods = try cluster.schedule("a", container: "a")
        #expect(try await cluster.call("ADD", "a", namespace: pod, arguments: pods).status == 0)
        let kubeconfig = cluster.bench.directory + "/kubeconfig"
        try FileManager.default.moveItem(atPath: kubeconfig, toPath: kubeconfig + "-away")
        let deleted = try await cluster.call("DEL", "a", namespace: pod, arguments: pods)
        #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
        #expect(try cluster.bench.hostLinks() == [])
        #expect(entries(cluster.bench).count == 1)
        try FileManager.default.moveItem(atPath: kubeconfig + "-away", toPath: kubeconfig)
        #expect(try await cluster.collect(valid: []).status == 0)
        #expect(entries(cluster.bench) == [])
        try await cluster.expectNothingLeft()
    }

    /// A real etcd that is killed and started again.
    @Test func etcdIsKilledAndStartedAgain() async throws {
        let etcd = try await EtcdServer()
        let bench = try Bench()
        let relay = try LoopbackRelay(port: etcd.port, in: .init(path: "/run/netns/\(bench.name)"))
        defer { relay.stop() }
        let configuration = bench.configuration(
            extra: #", "datastore_type": "etcdv3", "etcd_endpoints": "\#(etcd.endpoint)""#
        )
        let pod = try bench.pod()
        let added = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        etcd.stop()
        let deleted = try await bench.call("DEL", "c1", namespace: pod, configuration)
        #expect(deleted.status == 0, "\(deleted.output) \(deleted.log)")
        #expect(try bench.hostLinks() == [])
        #expect(entries(bench).count == 1)
        try await etcd.start()
        let collected = try await bench.run(["CNI_COMMAND": "GC"], stdin: configuration)
        #expect(collected.status == 0, "\(collected.output) \(collected.log)")
        #expect(entries(bench) == [])
        let asked = try await bench.call(
            "ADD",
            "c2",
            namespace: bench.pod(),
            arguments: "IP=\(added.addresses[0])",
            configuration
        )
        #expect(asked.addresses == added.addresses, "\(asked.output)")
    }
}
