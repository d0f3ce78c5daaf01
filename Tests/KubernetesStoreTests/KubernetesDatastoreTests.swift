import ClusterClient
import Foundation
import KubernetesClient
import Logging
import NIOCore
import NetworkTypes
import TestAPIServer
import Testing

@testable import KubernetesStore

/// The store over a server, where it differs from other stores; what all have in common is tested with them.
@Suite struct KubernetesDatastoreTests {
    private func server(_ customResources: [ResourceType] = ResourceType.calico) async throws -> TestAPIServer {
        var options = TestAPIServer.Options()
        options.security = .plain
        options.customResources = customResources
        return try await TestAPIServer(options)
    }

    private func client(_ server: TestAPIServer) throws -> KubernetesClient {
        let configuration = try KubernetesConfiguration.load(kubeconfig: nil, master: server.url, environment: [:])
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return try KubernetesClient(configuration, userAgent: "test/1", rateLimit: nil, logger: logger)
    }

    private func store(_ server: TestAPIServer, node: String? = nil) throws -> KubernetesDatastore {
        KubernetesDatastore(client: try client(server), node: node)
    }

    private func error(_ body: () async throws -> Void) async -> DatastoreError? {
        do {
            try await body()
            Issue.record("the store did not throw")
            return nil
        } catch {
            return error as? DatastoreError
        }
    }

    // MARK: Deletion in two steps (K2)

    private struct Deletion: Sendable {
        let key: RecordKey
        let value: String
        let resource: ResourceType
        let name: String
    }

    private static func resource(_ plural: String) -> ResourceType {
        ResourceType.calico.first { $0.plural == plural }!
    }

    private static let deletions = [
        Deletion(
            key: .block(CIDR("10.0.0.0/30")!),
            value: #"{"cidr":"10.0.0.0/30","affinity":"host:a","allocations":[null,null,null,null],"#
                + #""unallocated":[0,1,2,3],"attributes":[],"sequenceNumber":1,"deleted":false}"#,
            resource: resource("ipamblocks"),
            name: "10-0-0-0-30"
        ),
        Deletion(
            key: .blockAffinity(.host("a"), CIDR("10.0.0.0/30")!),
            value: #"{"state":"confirmed"}"#,
            resource: resource("blockaffinities"),
            name: "a-10-0-0-0-30"
        ),
        Deletion(
            key: .handle("net.c1"),
            value: #"{"handleID":"net.c1","block":{"10.0.0.0/30":1},"deleted":false}"#,
            resource: resource("ipamhandles"),
            name: "net.c1"
        ),
    ]

    /// Of all hosts, whatever labels they have (K1), without those that are marked deleted, and of hosts alone.
    @Test func theAffinitiesOfAllHosts() async throws {
        let store = try store(try await server())
        let cidr = CIDR("10.0.0.0/30")!
        let owners: [BlockOwner] = [.host("b"), .host("a"), .virtual("load-balancer"), .host("c")]
        var revisions: [Revision] = []
        for owner in owners {
            let json = Data(#"{"state":"pending"}"#.utf8)
            let written = try await store.commit([.create(.blockAffinity(owner, cidr), json)])
            revisions.append(try #require(written.first ?? nil))
        }
        let found = try await store.looseAffinities()
        #expect(found.map(\.key) == ["a", "b", "c"].map { .blockAffinity(.host($0), cidr) })
        #expect(found.map(\.revision) == [revisions[1], revisions[0], revisions[3]])
    }

    /// A deletion that is cut short after its first step is done for everybody, and whoever meets the object ends it.
    @Test(arguments: 0..<3)
    func whatIsMarkedDeletedIsNoRecord(_ index: Int) async throws {
        let deletion = Self.deletions[index]
        let server = try await server()
        let store = try store(server)
        let created = try await store.commit([.create(deletion.key, Data(deletion.value.utf8))])
        let revision = try #require(created.first ?? nil)
        let fault = server.addFault(FaultRule(.status(403), method: "DELETE", path: "/apis/", count: nil))
        _ = try await store.commit([.delete(deletion.key, revision)])
        #expect(server.hits(of: fault) >= 1)
        let leftover = try #require(server.object(deletion.resource, name: deletion.name))
        #expect(leftover.contains(#""deleted":true"#) || leftover.contains(#""deleted":"true""#), "\(leftover)")
        server.removeFaults()

        let other = try self.store(server)
        let collections: [RecordCollection] = [
            .blocks(.ipv4), .blockAffinities(.host("a"), .ipv4), .handles,
        ]
        #expect(try await other.list(collections[index]) == [])
        // A list leaves it, as it may be long; a read of the one ends it.
        #expect(server.object(deletion.resource, name: deletion.name) != nil)
        #expect(try await other.get(deletion.key) == nil)
        #expect(server.object(deletion.resource, name: deletion.name) == nil)
    }

    @Test(arguments: 0..<3)
    func aLeftoverIsNotInTheWayOfANewRecord(_ index: Int) async throws {
        let deletion = Self.deletions[index]
        let server = try await server()
        let first = try store(server)
        let created = try await first.commit([.create(deletion.key, Data(deletion.value.utf8))])
        let revision = try #require(created.first ?? nil)
        server.addFault(FaultRule(.status(403), method: "DELETE", path: "/apis/", count: nil))
        _ = try await first.commit([.delete(deletion.key, revision)])
        server.removeFaults()
        let again = try await store(server).commit([.create(deletion.key, Data(deletion.value.utf8))])
        #expect(again.first != revision)
        #expect(try await first.get(deletion.key)?.revision == again.first)
    }

    /// A block that does not say which it is has a name all the same; the others are listed beside it.
    @Test func aDamagedBlockHidesNoOther() async throws {
        let server = try await server()
        let store = try store(server)
        let block = Self.deletions[0]
        _ = try await store.commit([.create(block.key, Data(block.value.utf8))])
        try server.put(
            #"""
            {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock", "metadata": {"name": "10-0-0-4-30"}, "spec": {}}
            """#
        )
        let damaged = RecordKey.block(CIDR("10.0.0.4/30")!)
        #expect(try await store.list(.blocks(.ipv4)).map(\.key) == [block.key, damaged])
        #expect(try await store.get(damaged) != nil)
    }

    // MARK: Endpoints at Pods (K4, K5)

    private func addPod(_ server: TestAPIServer, _ name: String, node: String, labels: String = "{}") throws {
        try server.put(
            #"""
            {"apiVersion": "v1", "kind": "Pod",
             "metadata": {"namespace": "shop", "name": "\#(name)", "labels": \#(labels)},
             "spec": {"nodeName": "\#(node)", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
    }

    /// Somebody else writes to a Pod.
    private func touch(_ server: TestAPIServer, _ pod: String) async throws {
        var request = ResourceRequest(.PATCH, .pods, namespace: "shop", name: pod)
        request.contentType = "application/merge-patch+json"
        request.body = ByteBuffer(string: #"{"metadata":{"labels":{"touched":"\#(UUID().uuidString)"}}}"#)
        _ = try await client(server).send(request)
    }

    private func endpointKey(_ pod: String, node: String, _ interface: String = "eth0") -> RecordKey {
        .resource(
            .workloadEndpoints,
            namespace: "shop",
            name: EndpointName.text(node: node, pod: pod, interfaceName: interface)
        )
    }

    private func endpoint(_ pod: String, _ container: String, _ interface: String = "eth0") -> Data {
        Data(
            #"{"kind":"WorkloadEndpoint","spec":{"pod":"\#(pod)","endpoint":"\#(interface)","containerID":"\#(container)","#
                .utf8
        )
            + Data(#""interfaceName":"cali1","ipNetworks":["10.0.0.1/32","fd00::1/128"]}}"#.utf8)
    }

    @Test func endpointsAreOfTheNodesPods() async throws {
        let server = try await server()
        try addPod(server, "cart", node: "node-a")
        try addPod(server, "web", node: "node-b")
        let everywhere = try store(server)
        for (pod, node) in [("cart", "node-a"), ("web", "node-b")] {
            _ = try await everywhere.commit([.create(endpointKey(pod, node: node), endpoint(pod, "c"))])
        }
        _ = try await everywhere.commit([
            .create(endpointKey("cart", node: "node-a", "net1"), endpoint("cart", "c", "net1"))
        ])
        #expect(try await everywhere.list(.resources(.workloadEndpoints)).count == 3)
        server.clearRequests()
        let mine = try await store(server, node: "node-b").list(.resources(.workloadEndpoints))
        #expect(mine.map(\.key) == [endpointKey("web", node: "node-b")])
        #expect(server.requests.map { $0.query["fieldSelector"] } == ["spec.nodeName=node-b"])
    }

    /// The kubelet writes to a Pod all the time, which is no conflict; another endpoint in its place is one.
    @Test func onlyTheEndpointItselfIsGuarded() async throws {
        let server = try await server()
        try addPod(server, "cart", node: "node-a")
        let store = try store(server)
        let key = endpointKey("cart", node: "node-a")
        let first = try #require(try await store.commit([.create(key, endpoint("cart", "c1"))]).first ?? nil)
        try await touch(server, "cart")
        let second = try #require(try await store.commit([.update(key, endpoint("cart", "c2"), first)]).first ?? nil)
        #expect(await error { _ = try await store.commit([.delete(key, first)]) }?.reason == .conflict)
        #expect(
            await error { _ = try await store.commit([.create(key, endpoint("cart", "c3"))]) }?.reason == .alreadyExists
        )
        try await touch(server, "cart")
        _ = try await store.commit([.delete(key, second)])
        #expect(try await store.get(key) == nil)
        #expect(await error { _ = try await store.commit([.delete(key, second)]) }?.reason == .notFound)
    }

    @Test func aPodThatWasMadeAgainHasNoEndpoint() async throws {
        let server = try await server()
        try addPod(server, "cart", node: "node-a")
        let store = try store(server)
        let key = endpointKey("cart", node: "node-a")
        let revision = try #require(try await store.commit([.create(key, endpoint("cart", "c1"))]).first ?? nil)
        #expect(server.delete(.pods, namespace: "shop", name: "cart"))
        #expect(await error { _ = try await store.commit([.update(key, endpoint("cart", "c1"), revision)]) } != nil)
        try addPod(server, "cart", node: "node-a")
        #expect(try await store.get(key) == nil)
        #expect(await error { _ = try await store.commit([.delete(key, revision)]) }?.reason == .notFound)
    }

    @Test func withoutAPodThereIsNoEndpoint() async throws {
        let store = try store(try await server())
        let gone = await error {
            _ = try await store.commit([.create(endpointKey("gone", node: "node-a"), endpoint("gone", "c"))])
        }
        #expect(gone?.reason == .notFound)
        #expect(gone?.message.contains("shop/gone") == true, "\(String(describing: gone))")
        let container = RecordKey.resource(.workloadEndpoints, namespace: "default", name: "node--a-cni-c1-eth0")
        let refused = await error { _ = try await store.commit([.create(container, Data(#"{"spec":{}}"#.utf8))]) }
        #expect(refused?.message.contains("K8S_POD_NAME") == true, "\(String(describing: refused))")
    }

    // MARK: What is not set up

    @Test func aMissingKindIsNamedWithTheRemedy() async throws {
        let store = try store(try await server([]))
        let error = await error { _ = try await store.list(.resources(.ipPools)) }
        #expect(error?.reason == .failed)
        #expect(error?.message.contains("ippools.crd.projectcalico.org") == true, "\(String(describing: error))")
        #expect(error?.message.contains("crds.yaml") == true)
        // A kind that is there but has no object is another thing.
        #expect(try await self.store(server()).list(.resources(.ipPools)) == [])
        #expect(try await self.store(server()).get(.ipamConfiguration) == nil)
    }

    @Test func aMissingRightIsNamedWithTheRemedy() async throws {
        var options = TestAPIServer.Options()
        options.security = .plain
        options.plainUser = User("plugin")
        options.rules = [AccessRule("plugin", verbs: ["get", "list"])]
        let server = try await TestAPIServer(options)
        let store = try store(server)
        #expect(try await store.list(.handles) == [])
        let deletion = Self.deletions[2]
        let error = await error { _ = try await store.commit([.create(deletion.key, Data(deletion.value.utf8))]) }
        #expect(error?.reason == .failed)
        for part in ["create", "ipamhandles.crd.projectcalico.org", "ClusterRole"] {
            #expect(error?.message.contains(part) == true, "\(String(describing: error))")
        }
    }

    // MARK: Watches

    /// 410: what happened while the watch was away is in a new snapshot, without a gap.
    @Test(.timeLimit(.minutes(1)), arguments: [WatchInterruption.expire, .cut(.reset), .end])
    func aWatchGoesOnAfterItsStateWasForgotten(_ interruption: WatchInterruption) async throws {
        let server = try await server()
        let store = try store(server)
        func create(_ name: String) async throws {
            let value = #"{"handleID":"\#(name)","block":{},"deleted":false}"#
            _ = try await store.commit([.create(.handle(name), Data(value.utf8))])
        }
        try await create("a")
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        guard case .snapshot(let first) = try await events.next() else { throw CancellationError() }
        #expect(first.map(\.key) == [.handle("a")])
        let deadline = ContinuousClock.now + .seconds(20)
        while server.metrics.watches == 0 {
            try #require(ContinuousClock.now < deadline)
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(await server.interruptWatches(interruption) == 1)
        try await create("b")
        server.compact()
        var keys: Set<RecordKey> = Set(first.map(\.key))
        while !keys.contains(.handle("b")) {
            switch try await events.next() {
            case .snapshot(let records): keys = Set(records.map(\.key))
            case .put(let record): keys.insert(record.key)
            case .removed(let key): keys.remove(key)
            case nil: throw CancellationError()
            }
        }
        #expect(keys == [.handle("a"), .handle("b")])
    }
}
