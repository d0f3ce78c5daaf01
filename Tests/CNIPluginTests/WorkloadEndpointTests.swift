import CNI
import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import CNIPlugin

@Suite struct WorkloadEndpointTests {
    static func endpoint(_ container: String = "c1", workload: Workload? = nil) throws -> WorkloadEndpoint {
        WorkloadEndpoint(
            workload: workload ?? .pod(PodReference(namespace: "shop", name: "web-0")),
            id: try AttachmentID(containerID: container, interfaceName: "eth0"),
            node: "node-1",
            network: "pods",
            link: .init(hostInterfaceName: "cali0123456789a", mac: MACAddress(0x0a, 0, 0, 0, 0, 1)),
            addresses: [IPAddress("10.80.0.1")!, IPAddress("fd80::1")!]
        )
    }

    @Test func recordIsCalicos() throws {
        #expect(
            try Self.endpoint().json(uid: "u", created: "t").text()
                == #"{"kind":"WorkloadEndpoint","apiVersion":"projectcalico.org/v3","metadata":{"#
                + #""name":"node--1-k8s-web--0-eth0","namespace":"shop","uid":"u","creationTimestamp":"t","#
                + #""labels":{"projectcalico.org/namespace":"shop","projectcalico.org/orchestrator":"k8s"},"#
                + #""annotations":{"swiftlet.io/network":"pods"}},"spec":{"orchestrator":"k8s","pod":"web-0","node":"node-1","#
                + #""containerID":"c1","endpoint":"eth0","ipNetworks":["10.80.0.1/32","fd80::1/128"],"profiles":["kns.shop"],"#
                + #""interfaceName":"cali0123456789a","mac":"0a:00:00:00:00:01"}}"#
        )
    }

    @Test func keys() throws {
        #expect(
            try Self.endpoint().key
                == .resource(.workloadEndpoints, namespace: "shop", name: "node--1-k8s-web--0-eth0")
        )
        #expect(
            try Self.endpoint(workload: .container(id: "a-b")).key
                == .resource(.workloadEndpoints, namespace: "default", name: "node--1-cni-a--b-eth0")
        )
    }

    @Test func readingBack() async throws {
        for workload in [nil, Workload.container(id: "c1")] {
            let endpoint = try Self.endpoint(workload: workload)
            let records = EndpointRecords(store: MemoryDatastore())
            try await records.put(endpoint)
            #expect(try await records.find(endpoint.key)?.endpoint == endpoint)
        }
    }

    /// What is for Calico's agent is where it looks, and comes back.
    @Test func annotationsForTheAgent() async throws {
        let annotations = try PodAnnotations(
            pod: [
                "cni.projectcalico.org/floatingIPs": #"["192.0.2.1", "2001:db8::1", "192.0.2.2"]"#,
                "cni.projectcalico.org/allowedSourcePrefixes": #"["198.51.100.0/24", "2001:db8:1::/48"]"#,
            ],
            namespace: [:]
        )
        let endpoint = try Self.endpoint().adding(annotations)
        let text = endpoint.json(uid: "u", created: "t").text()
        #expect(
            text.contains(
                #""ipNATs":[{"internalIP":"10.80.0.1","externalIP":"192.0.2.1"},"#
                    + #"{"internalIP":"fd80::1","externalIP":"2001:db8::1"},"#
                    + #"{"internalIP":"10.80.0.1","externalIP":"192.0.2.2"}],"#
                    + #""allowSpoofedSourcePrefixes":["198.51.100.0/24","2001:db8:1::/48"]"#
            ),
            "\(text)"
        )
        let records = EndpointRecords(store: MemoryDatastore())
        try await records.put(endpoint)
        #expect(try await records.find(endpoint.key)?.endpoint == endpoint)
    }

    @Test func newSandboxTakesTheRecordOver() async throws {
        let records = EndpointRecords(store: MemoryDatastore())
        let (old, new) = (try Self.endpoint("old"), try Self.endpoint("new"))
        try await records.put(old)
        try await records.put(new)
        try await records.remove(old.key, of: old.id)
        #expect(try await records.find(new.key)?.endpoint == new)
        try await records.remove(new.key, of: new.id)
        #expect(try await records.find(new.key)?.endpoint == nil)
        try await records.remove(new.key, of: new.id)
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"metadata":{},"spec":{}}"#, #"{"metadata":{},"spec":{"endpoint":"eth0","node":"n"}}"#,
    ])
    func damagedRecordIsNamed(_ text: String) async throws {
        let endpoint = try Self.endpoint()
        let store = MemoryDatastore()
        _ = try await store.commit([.create(endpoint.key, Data(text.utf8))])
        await #expect {
            _ = try await EndpointRecords(store: store).find(endpoint.key)
        } throws: { error in
            let error = error as? CNIError
            return error?.code == .decodingFailure && error?.description.contains("node--1-k8s-web--0-eth0") == true
        }
    }

    @Test func conflictsAreTriedAgain() async throws {
        let attempts = Collected<Bool>()
        let store = FaultyDatastore(MemoryDatastore()) { operation, _ in
            guard operation.isCommit else { return nil }
            attempts.add(true)
            return attempts.all.count < 4 ? .conflict : nil
        }
        let endpoint = try Self.endpoint()
        try await EndpointRecords(store: store).put(endpoint)
        #expect(attempts.all.count == 4)
    }
}

@Suite struct RollbackTests {
    @Test func undoesInReverseAndGoesOn() async {
        let done = Collected<String>()
        var rollback = Rollback(log: PluginLog(settings: .standard, subject: "test"))
        rollback.add("first") { () throws(CNIError) in done.add("first") }
        rollback.add("second") { () throws(CNIError) in throw CNIError(.ioFailure, "no") }
        rollback.add("third") { () throws(CNIError) in done.add("third") }
        await rollback.run()
        #expect(done.all == ["third", "first"])
    }
}
