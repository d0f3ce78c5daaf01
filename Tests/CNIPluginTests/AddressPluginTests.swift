import CNI
import Foundation
import Testing

/// `swiftlet-ipam`, as another main plugin calls it.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct AddressPluginTests {
    let bench: Bench
    let pod: String

    init() throws {
        bench = try Bench()
        pod = try bench.pod()
    }

    func call(
        _ command: String,
        _ container: String = "c1",
        interface: String = "eth0",
        with configuration: String? = nil
    )
        async throws -> Bench.Outcome
    {
        try await bench.call(
            command,
            container,
            namespace: pod,
            interface: interface,
            configuration ?? bench.configuration(ipv6: true),
            plugin: "swiftlet-ipam"
        )
    }

    @Test func addCheckDelete() async throws {
        let added = try await call("ADD")
        #expect(added.status == 0, "\(added.output)")
        // C8: addresses without an interface, and no interfaces.
        #expect(added.json["interfaces"] == nil)
        let ips = try #require(added.json["ips"] as? [[String: Any]])
        #expect(ips.count == 2)
        #expect(ips.allSatisfy { $0["interface"] == nil && $0["gateway"] == nil })
        #expect((ips[0]["address"] as? String)?.hasSuffix("/32") == true)
        #expect((ips[1]["address"] as? String)?.hasSuffix("/128") == true)
        #expect(try await bench.assignedAddresses() == added.addresses.sorted())
        #expect(try await bench.recordedAddresses() == added.addresses.sorted())
        #expect(try bench.hostLinks() == [])

        let again = try await call("ADD")
        #expect(again.output == added.output)
        #expect(try await call("CHECK").status == 0)
        let previous = bench.configuration(ipv6: true, extra: #", "prevResult": \#(added.output)"#)
        #expect(try await call("CHECK", with: previous).status == 0)
        let wrong = bench.configuration(
            extra: #", "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.80.0.250/32"}]}"#
        )
        #expect(try await call("CHECK", with: wrong).code == 104)

        for _ in 1...2 {
            let deleted = try await call("DEL")
            #expect(deleted.status == 0, "\(deleted.output)")
            #expect(deleted.output == "")
            #expect(try await bench.assignedAddresses() == [])
            #expect(try await bench.recordedAddresses() == [])
        }
        #expect(try await call("CHECK").code == 3)
    }

    @Test func interfacesAreApart() async throws {
        let first = try await call("ADD")
        let second = try await call("ADD", interface: "net1")
        #expect(Set(first.addresses).isDisjoint(with: second.addresses))
        #expect(try await call("DEL").status == 0)
        #expect(try await bench.assignedAddresses() == second.addresses.sorted())
    }

    @Test func exhaustion() async throws {
        let tiny = bench.configuration(pools: #"{"name": "tiny", "cidr": "10.81.0.0/32", "blockSize": 32}"#)
        #expect(try await call("ADD", with: tiny).status == 0)
        #expect(try await call("ADD", "c2", with: tiny).code == 100)
        #expect(try await bench.assignedAddresses() == ["10.81.0.0"])
    }
}
