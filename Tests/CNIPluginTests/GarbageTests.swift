import CNI
import Foundation
import Testing

/// GC: what the runtime forgot.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct GarbageTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    func collect(_ members: String, network: String = "pods") async throws -> Bench.Outcome {
        try await bench.run(["CNI_COMMAND": "GC"], stdin: bench.configuration(network: network, extra: members))
    }

    @Test func onlyWhatIsNotValidGoes() async throws {
        let pods = try (0..<4).map { _ in try bench.pod() }
        let names = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME="
        let kept = try await bench.call("ADD", "kept", namespace: pods[0], arguments: names + "a")
        let stale = try await bench.call("ADD", "stale", namespace: pods[1], arguments: names + "b")
        // A network whose name starts like ours, and a container there whose ID looks like one of ours.
        let foreign = try await bench.call("ADD", "c", namespace: pods[2], bench.configuration(network: "pods.x"))
        let second = try await bench.call("ADD", "kept", namespace: pods[0], interface: "net1", arguments: names + "a")
        #expect([kept, stale, foreign, second].allSatisfy { $0.status == 0 })
        let node2 = bench.configuration().replacingOccurrences(of: "node-1", with: "node-2")
        let elsewhere = try await bench.call("ADD", "elsewhere", namespace: pods[3], node2)
        #expect(elsewhere.status == 0, "\(elsewhere.output)")
        // A container of the same pod whose record a new sandbox took over.
        let again = try bench.pod()
        let renewed = try await bench.call("ADD", "renewed", namespace: again, arguments: names + "a")
        #expect(renewed.status == 0)

        let everything = [kept, stale, foreign, second, elsewhere, renewed].flatMap(\.addresses).sorted()
        #expect(try await bench.assignedAddresses() == everything)
        // GC1: absence is not emptiness.
        #expect(try await collect("").status == 0)
        #expect(try await bench.assignedAddresses() == everything)

        let valid =
            #", "cni.dev/valid-attachments": [{"containerID": "kept", "ifname": "net1"}, {"containerID": "renewed", "ifname": "eth0"}]"#
        let outcome = try await collect(valid)
        #expect(outcome.status == 0, "\(outcome.output)")
        #expect(outcome.output == "")
        let left = [foreign, second, elsewhere, renewed].flatMap(\.addresses).sorted()
        #expect(try await bench.assignedAddresses() == left)
        #expect(try await bench.recordedAddresses() == left)
        #expect(try bench.hostRoutes().sorted() == left)
        #expect(try bench.podAddresses(again) == renewed.addresses)
    }

    @Test func addressesOfAKilledAddAreReleased() async throws {
        let pod = try bench.pod()
        #expect(try await bench.call("ADD", "c1", namespace: pod, plugin: "swiftlet-ipam").status == 0)
        #expect(try await collect(#", "cni.dev/valid-attachments": []"#).status == 0)
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == [])
    }

    /// An ADD was killed between its link and its record: its pod must not go on with an address that is given to another.
    @Test func theLinkOfAKilledAddGoes() async throws {
        let names = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=a"
        for arguments in [names, ""] {
            let pod = try bench.pod()
            #expect(try await bench.call("ADD", "c1", namespace: pod, arguments: arguments).status == 0)
            let records = try await bench.store.list(.resources(.workloadEndpoints))
            _ = try await bench.store.commit(records.map { .delete($0.key, $0.revision) })
            #expect(try await collect(#", "cni.dev/valid-attachments": []"#).status == 0)
            #expect(try bench.hostLinks() == [])
            #expect(try bench.ip("link", in: pod).count == 1)
            #expect(try await bench.assignedAddresses() == [])
        }
    }

    /// Nor does the next sandbox of the same Pod lose its link, which has the same name, to what the last one left.
    @Test func theNextSandboxKeepsItsLink() async throws {
        let names = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=a"
        let (old, new) = (try bench.pod(), try bench.pod())
        #expect(try await bench.call("ADD", "old", namespace: old, arguments: names).status == 0)
        let added = try await bench.call("ADD", "new", namespace: new, arguments: names)
        let valid = #", "cni.dev/valid-attachments": [{"containerID": "new", "ifname": "eth0"}]"#
        #expect(try await collect(valid).status == 0)
        #expect(try bench.podAddresses(new) == added.addresses)
        #expect(try bench.hostRoutes() == added.addresses)
        #expect(try await bench.assignedAddresses() == added.addresses)
    }

    @Test func needsVersionOneOne() async throws {
        let outcome = try await bench.run(["CNI_COMMAND": "GC"], stdin: bench.configuration(version: "1.0.0"))
        #expect(outcome.code == 1)
        let broken = try await collect(#", "cni.dev/valid-attachments": [{"containerID": "../x", "ifname": "eth0"}]"#)
        #expect(broken.status == 1)
    }
}
