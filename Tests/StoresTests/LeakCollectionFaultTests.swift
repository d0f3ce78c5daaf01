import ClusterClient
import Foundation
import IPAM
import KubernetesAPI
import NetworkTypes
import Synchronization
import TestSupport
import Testing

/// Leak collection beside nodes that attach, detach and lose containers at random, on each store, in which everything goes
/// wrong now and then: what is in use is never freed, what has leaked is in the end (B1 to B5, G4, G5).
@Suite struct LeakCollectionFaultTests {
    private static let nodes = 3
    private static let podsPerNode = 6

    /// The store, and how an endpoint comes and goes there.
    private struct Place {
        let store: any Datastore
        let keeper: any Sendable

        init(_ kind: ControlledStore.Kind) async throws {
            switch kind {
            case .local, .etcdv3:
                let instance = try await (kind == .local ? StoreUnderTest.local : .etcd).make()
                store = instance.store
                keeper = instance
            case .kubernetes:
                let cluster = try await KubernetesUnderTest()
                for node in 0..<nodes {
                    for pod in 0..<podsPerNode {
                        try cluster.addPod(namespace: "shop", name: "p\(node)x\(pod)", node: "node-\(node)")
                    }
                }
                store = try cluster.store()
                keeper = cluster
            }
        }

        func key(_ node: Int, _ pod: Int) -> RecordKey {
            .resource(.workloadEndpoints, namespace: "shop", name: "node--\(node)-k8s-p\(node)x\(pod)-eth0")
        }

        func record(_ node: Int, _ pod: Int, _ container: String, _ addresses: [IPAddress]) async throws {
            let networks = addresses.map { "\"\($0.hostPrefix)\"" }.joined(separator: ",")
            let json = Data(
                #"""
                {"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3",
                 "metadata":{"name":"node--\#(node)-k8s-p\#(node)x\#(pod)-eth0","namespace":"shop"},
                 "spec":{"pod":"p\#(node)x\#(pod)","node":"node-\#(node)","containerID":"\#(container)","endpoint":"eth0",
                  "ipNetworks":[\#(networks)]}}
                """#.utf8
            )
            try await remove(node, pod)
            _ = try await store.commit([.create(key(node, pod), json)])
        }

        func remove(_ node: Int, _ pod: Int) async throws {
            guard let record = try await store.get(key(node, pod)) else { return }
            _ = try await store.commit([.delete(record.key, record.revision)])
        }
    }

    private final class Faults: Sendable {
        private let random: Mutex<SeededGenerator>
        let isOn = Atomic(false)

        init(seed: UInt64) { random = Mutex(SeededGenerator(seed: seed)) }

        func next(_ operation: FaultyDatastore.Operation) -> FaultyDatastore.Fault? {
            guard isOn.load(ordering: .relaxed) else { return nil }
            return random.withLock { random in
                switch (Int.random(in: 0..<100, using: &random), operation) {
                case (0..<6, .commit): .conflict
                case (6..<10, .commit): .lostReply
                case (10..<13, .commit(let changes)): .stopBefore(Int.random(in: 0..<changes.count, using: &random))
                case (13..<16, _): .unavailable
                default: nil
                }
            }
        }
    }

    @Test(arguments: ControlledStore.Kind.allCases, 1...2 as ClosedRange<UInt64>)
    func whatIsInUseIsNeverFreed(_ kind: ControlledStore.Kind, _ seed: UInt64) async throws {
        let place = try await Place(kind)
        let faults = Faults(seed: seed)
        let fixture = Fixture(
            FaultyDatastore(place.store) { operation, _ in faults.next(operation) },
            keeping: place.keeper
        )
        try await fixture.configure { $0.ipCooldownSeconds = seed == 2 ? 5 : 0 }
        for pool in [fixture.pool("10.0.0.0/25", name: "four", blockSize: 29)] {
            try await fixture.administration.put(.pool(pool), existing: .refuse)
        }
        var collection = LeakCollection(grace: .seconds(1), knowsAllNodes: false)
        let start = ContinuousClock.now
        var live: [Int: [Int: Container]] = [:]
        var looks = 0
        for round in 0..<4 {
            faults.isOn.store(true, ordering: .relaxed)
            let before = live
            (collection, looks, live) = try await withThrowingTaskGroup(of: Life.self) { group in
                for node in 0..<Self.nodes {
                    group.addTask {
                        let seed = seed * 1000 + UInt64(round * 10 + node)
                        return .node(
                            node,
                            try await Self.live(place, fixture, node, round, before[node] ?? [:], seed: seed)
                        )
                    }
                }
                group.addTask { [collection, looks] in
                    var collection = collection
                    for look in looks..<looks + 3 {
                        let plan = collection.observe(
                            try await IPAMRecords.read(from: place.store),
                            now: fixture.clock.now,
                            uptime: start + .seconds(look)
                        )
                        // A store that fails in the middle is one that answers the next time.
                        _ = try? await fixture.administration.collect(plan)
                    }
                    return .collector(collection, looks + 3)
                }
                var result = (collection, looks, before)
                for try await life in group {
                    switch life {
                    case .node(let node, let containers): result.2[node] = containers
                    case .collector(let collection, let looks): (result.0, result.1) = (collection, looks)
                    }
                }
                return result
            }
            faults.isOn.store(false, ordering: .relaxed)
            #expect(try await fixture.problems(exact: false) == [], "round \(round)")
            try await expectLive(live, fixture)
            // What was assigned in this round is not too recent to be judged any more.
            fixture.clock.advance(.seconds(200))
        }
        // Without faults what is left of the leaks goes, and nothing else; then the handles that a release left behind.
        for look in looks..<looks + 6 {
            let plan = collection.observe(
                try await IPAMRecords.read(from: place.store),
                now: fixture.clock.now,
                uptime: start + .seconds(look)
            )
            let outcome = try await fixture.administration.collect(plan)
            #expect(outcome.errors == [])
            fixture.clock.advance(.seconds(10))
        }
        try await expectLive(live, fixture)
        let expected = Set(live.values.flatMap(\.values).flatMap(\.addresses))
        var assigned: Set<IPAddress> = []
        for block in try await fixture.blocks() {
            for ordinal in block.allocations.indices where block.attribute(ordinal)?.handle != nil {
                assigned.insert(block.address(ordinal))
            }
        }
        #expect(assigned == expected)
        #expect(try await fixture.problems(exact: false) == [])
        let handles = try await fixture.store.keys(.handles).count
        let containers = live.values.map(\.count).reduce(0, +)
        #expect(handles == containers)
    }

    private enum Life: Sendable {
        case node(Int, [Int: Container])
        case collector(LeakCollection, Int)
    }

    struct Container: Sendable {
        let handle: String
        let addresses: [IPAddress]
    }

    /// Some time in the life of a node; the containers that it has in the end, by pod.
    private static func live(
        _ place: Place,
        _ fixture: Fixture,
        _ node: Int,
        _ round: Int,
        _ before: [Int: Container],
        seed: UInt64
    ) async throws -> [Int: Container] {
        var random = SeededGenerator(seed: seed)
        var containers = before
        let allocator = fixture.allocator("node-\(node)")
        for step in 0..<12 {
            let pod = Int.random(in: 0..<podsPerNode, using: &random)
            if let container = containers[pod] {
                // DEL, in its order; or one that is lost after the endpoint is gone.
                try await place.remove(node, pod)
                containers[pod] = nil
                if Int.random(in: 0..<3, using: &random) > 0 { try await allocator.release(handle: container.handle) }
                continue
            }
            let handle = "pods.n\(node)r\(round)s\(step)"
            let wanted = request(handle) {
                $0.attributes["pod"] = "p\(node)x\(pod)"
                $0.attributes["namespace"] = "shop"
                $0.attributes["node"] = "node-\(node)"
                $0.attributes["timestamp"] = "\(fixture.clock.now)"
            }
            do throws(IPAMError) {
                let addresses = try await allocator.assign(wanted).map(\.address)
                // An ADD that is killed before it records what it did.
                guard Int.random(in: 0..<3, using: &random) > 0 else { continue }
                try await Self.recorded(place, node, pod, handle, addresses)
                containers[pod] = Container(handle: handle, addresses: addresses)
            } catch {
                if case .poolExhausted = error { continue }
                Issue.record("\(error)")
            }
        }
        return containers
    }

    private static func recorded(
        _ place: Place,
        _ node: Int,
        _ pod: Int,
        _ handle: String,
        _ addresses: [IPAddress]
    ) async throws(IPAMError) {
        do {
            try await place.record(node, pod, handle, addresses)
        } catch {
            throw .invalidRequest("the endpoint was not recorded: \(error)")
        }
    }

    private func expectLive(_ live: [Int: [Int: Container]], _ fixture: Fixture) async throws {
        for container in live.values.flatMap(\.values) {
            let stored = try await fixture.allocator().addresses(ofHandle: container.handle).map(\.address)
            #expect(stored == container.addresses, "\(container.handle)")
        }
    }
}
