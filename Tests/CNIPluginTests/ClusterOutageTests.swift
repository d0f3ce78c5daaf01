import CNI
import Foundation
import TestAPIServer
import Testing

/// Stores that are away, in trouble or not set up.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ClusterOutageTests {
    struct Outage: Sendable, CustomTestStringConvertible {
        let kind: ClusterStore
        let isHanging: Bool
        var testDescription: String { "\(kind.rawValue) \(isHanging ? "hangs" : "is away")" }

        static let all = ClusterStore.allCases.flatMap { kind in
            [false, true].map { Outage(kind: kind, isHanging: $0) }
        }
    }

    private func timed(_ body: () async throws -> Bench.Outcome) async throws -> (Bench.Outcome, Duration) {
        var outcome: Bench.Outcome?
        let duration = try await ContinuousClock().measure { outcome = try await body() }
        return (try #require(outcome), duration)
    }

    @Test(arguments: Outage.all)
    func storeIsAway(_ outage: Outage) async throws {
        let cluster = try await ClusterBench(outage.kind)
        let bench = cluster.bench
        let (first, second) = (try bench.pod(), try bench.pod())
        let (pods, others) = (
            try cluster.schedule("web-1", container: "c1"), try cluster.schedule("web-2", container: "c2")
        )
        let added = try await cluster.call("ADD", "c1", namespace: first, arguments: pods)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        let links = try bench.hostLinks()

        try cluster.lose(hanging: outage.isHanging)
        let (status, statusTime) = try await timed { try await cluster.status() }
        #expect(status.code == 50, "\(status.output) \(status.log)")
        #expect(statusTime < .milliseconds(2500))

        let (refused, refusedTime) = try await timed {
            try await cluster.call("ADD", "c2", namespace: second, arguments: others)
        }
        #expect(refused.status == 1)
        #expect(refused.code == 11, "\(refused.output) \(refused.log)")
        #expect(refusedTime < .seconds(10))
        #expect(try bench.hostLinks() == links)
        #expect(try bench.podAddresses(second) == [])

        // The link of a Pod that ends goes, whatever the store does; with this mode the runtime repeats the DEL.
        let strict = cluster.configuration(extra: #", "del_mode": "strict""#)
        let (deleted, deletedTime) = try await timed {
            try await cluster.call("DEL", "c1", namespace: first, arguments: pods, strict)
        }
        #expect(deleted.code == 11, "\(deleted.output) \(deleted.log)")
        #expect(deletedTime < .seconds(10))
        #expect(try bench.hostLinks() == [])
        #expect(try bench.hostRoutes() == [])
        #expect(try bench.podAddresses(first) == [])

        try cluster.reach()
        #expect(try await cluster.assignedAddresses() == added.addresses.sorted())
        #expect(try await cluster.call("DEL", "c1", namespace: first, arguments: pods).status == 0)
        try await cluster.expectNothingLeft()
        #expect(try await cluster.status().status == 0)
    }

    struct Trouble: Sendable, CustomTestStringConvertible {
        let rule: FaultRule
        let testDescription: String

        init(_ description: String, _ rule: FaultRule) {
            testDescription = description
            self.rule = rule
        }

        private static let custom = "/apis/crd.projectcalico.org/v1/"
        private static let pods = "/api/v1/namespaces/shop/pods/"

        static let overcome = [
            Trouble("the block's write is done, its answer lost", .init(.loseReply(), method: "PUT", path: custom)),
            Trouble("the handle is made, the answer lost", .init(.loseReply(), method: "POST", path: custom)),
            Trouble("the Pod's patch is done, its answer lost", .init(.loseReply(), method: "PATCH", path: pods)),
            Trouble("one read is throttled", .init(.tooManyRequests(retryAfter: 1), method: "GET", path: custom)),
        ]
    }

    /// What is over at the second attempt either succeeds at once, or leaves nothing and succeeds when it is repeated.
    @Test(arguments: Trouble.overcome)
    func passingTrouble(_ trouble: Trouble) async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let pods = try cluster.schedule("web-0", container: "c1")
        let warm = try cluster.schedule("warm", container: "w")
        #expect(try await cluster.call("ADD", "w", namespace: cluster.bench.pod(), arguments: warm).status == 0)
        let before = try await cluster.assignedAddresses()
        let fault = try cluster.server.addFault(trouble.rule)
        var added = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        #expect(try cluster.server.hits(of: fault) == 1)
        if added.status != 0 {
            #expect(added.code == 11, "\(added.output) \(added.log)")
            #expect(try await cluster.assignedAddresses() == before)
            #expect(try cluster.bench.podAddresses(pod) == [])
            added = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        }
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(try await cluster.assignedAddresses() == (before + added.addresses).sorted())
        #expect(try await cluster.call("DEL", "c1", namespace: pod, arguments: pods).status == 0)
        #expect(try await cluster.assignedAddresses() == before)
    }

    @Test(arguments: ["ippools", "blockaffinities", "ipamblocks", "ipamhandles"])
    func aMissingKindIsNamedWithTheRemedy(_ plural: String) async throws {
        let cluster = try await ClusterBench(
            .kubernetes,
            customResources: ResourceType.calico.filter { $0.plural != plural }
        )
        let pod = try cluster.bench.pod()
        let pods = try cluster.schedule("web-0", container: "c1")
        let added = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        #expect(added.status == 1)
        #expect(added.code == 5, "\(added.output) \(added.log)")
        #expect(added.output.contains("\(plural).crd.projectcalico.org"), "\(added.output)")
        #expect(added.output.contains("crds.yaml"), "\(added.output)")
        #expect(try cluster.bench.hostLinks() == [])
        #expect(try cluster.bench.podAddresses(pod) == [])
    }

    struct Denial: Sendable, CustomTestStringConvertible {
        let verb: String
        let resource: String
        var testDescription: String { "\(verb) \(resource)" }

        static let all = [
            Denial(verb: "patch", resource: "pods/status"), .init(verb: "get", resource: "pods"),
            .init(verb: "get", resource: "namespaces"),
            .init(verb: "list", resource: "ippools.crd.projectcalico.org"),
            .init(verb: "create", resource: "ipamhandles.crd.projectcalico.org"),
            .init(verb: "update", resource: "ipamblocks.crd.projectcalico.org"),
        ]

        /// All that the plugin does, but this.
        var rules: [AccessRule] {
            let verbs: Set = ["get", "list", "create", "update", "patch", "delete"]
            let resources = Set(
                ResourceType.calico.map(\.qualifiedName) + ["pods", "pods/status", "nodes", "namespaces"]
            )
            return [
                AccessRule("plugin", verbs: verbs, resources: resources.subtracting([resource])),
                AccessRule("plugin", verbs: verbs.subtracting([verb]), resources: [resource]),
            ]
        }
    }

    @Test(arguments: Denial.all)
    func aMissingRightIsNamedWithTheRemedy(_ denial: Denial) async throws {
        let cluster = try await ClusterBench(.kubernetes)
        let pod = try cluster.bench.pod()
        let pods = try cluster.schedule("web-0", container: "c1")
        // The node has a block, so that the write to it is an update.
        let warm = try cluster.schedule("warm", container: "w")
        let warmPod = try cluster.bench.pod()
        #expect(try await cluster.call("ADD", "w", namespace: warmPod, arguments: warm).status == 0)
        let (before, links) = (try await cluster.assignedAddresses(), try cluster.bench.hostLinks())
        try cluster.restrict(to: denial.rules)
        let added = try await cluster.call("ADD", "c1", namespace: pod, arguments: pods)
        #expect(added.code == 5, "\(added.output) \(added.log)")
        #expect(added.output.contains(denial.resource), "\(added.output)")
        #expect(added.output.contains("ClusterRole"), "\(added.output)")
        #expect(!(added.output + added.log).contains("plugin-token"))
        #expect(try cluster.bench.hostLinks() == links)
        #expect(try cluster.bench.podAddresses(pod) == [])
        #expect(try await cluster.assignedAddresses() == before)
    }
}
