import Foundation
import Testing

/// The host has a route already for an address that a pod gets (4.3, C8).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct RouteConflictTests {
    let bench: Bench
    let pod: String

    init() throws {
        bench = try Bench()
        pod = try bench.pod()
    }

    /// One block, whose addresses are given in their order.
    private var block: String {
        bench.configuration(pools: #"{"name": "four", "cidr": "10.80.0.0/26", "blockSize": 26}"#)
    }

    private func host(_ words: String...) throws {
        try Bench.run(arguments: ["ip", "-n", bench.name] + words)
    }

    /// As of a VPN, which nobody takes away for a pod.
    private func route(_ addresses: String...) throws {
        try host("link", "add", "vpn0", "type", "veth", "peer", "name", "vpn1")
        for end in ["vpn0", "vpn1"] { try host("link", "set", end, "up") }
        for address in addresses { try host("route", "add", address, "dev", "vpn0") }
    }

    @Test func anotherAddressIsTaken() async throws {
        try route("10.80.0.0/32", "10.80.0.1/32")
        let added = try await bench.call("ADD", "c1", namespace: pod, block)
        #expect(added.addresses == ["10.80.0.2"], "\(added.output) \(added.log)")
        #expect(added.log.contains("10.80.0.0/32") && added.log.contains("vpn0"), "\(added.log)")
        #expect(try await bench.assignedAddresses() == added.addresses)
        #expect(try await bench.recordedAddresses() == added.addresses)
        let routes = try bench.ip("route").compactMap { route in
            (route["dst"] as? String).map { "\($0) \(route["dev"] as? String ?? "")" }
        }
        #expect(routes.contains("10.80.0.0 vpn0") && routes.contains("10.80.0.1 vpn0"), "\(routes)")
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
        #expect(try bench.hostRoutes() == ["10.80.0.0", "10.80.0.1"])
    }

    /// Another IPAM plugin is asked for another address too, and gets the first back.
    @Test func anotherPluginGivesAnother() async throws {
        try route("10.99.0.2/32")
        let store = bench.directory + "/host-local"
        let ipam = #"{"type": "host-local", "dataDir": "\#(store)", "subnet": "10.99.0.0/29"}"#
        let chain = try PluginChain(bench, bench.plugin(ipam: ipam))
        let added = try await chain.add("c1", pod)
        #expect(added.addresses == ["10.99.0.3"], "\(added.output) \(added.log)")
        let leases = try FileManager.default.contentsOfDirectory(atPath: store + "/pods").filter { $0.hasPrefix("10.") }
        #expect(leases == ["10.99.0.3"])
        try await chain.delete("c1", pod, added)
        #expect(try bench.hostRoutes() == ["10.99.0.2"])
    }

    @Test func anAddressThatWasAskedForIsRefused() async throws {
        try route("10.80.0.9/32")
        let refused = try await bench.call("ADD", "c1", namespace: pod, arguments: "IP=10.80.0.9", block)
        #expect(refused.code == 101, "\(refused.output)")
        #expect(refused.output.contains("10.80.0.9/32") && refused.output.contains("vpn0"), "\(refused.output)")
        #expect(try await bench.assignedAddresses() == [])
        #expect(try bench.hostLinks() == ["vpn0", "vpn1"])
        #expect(try bench.ip("link", in: pod).count == 1)
    }

    /// C3: what the host takes for itself never reaches a pod, whatever the routes are.
    @Test func theHostsOwnAddressIsNoPods() async throws {
        try route()
        try host("addr", "add", "10.80.0.0/32", "dev", "vpn0")
        try host("addr", "add", "fd80::9/128", "dev", "vpn0", "nodad")
        let pools = #"{"name": "four", "cidr": "10.80.0.0/26"}, \#(Bench.pool6)"#
        let configuration = bench.configuration(pools: pools)
        let added = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(added.addresses == ["10.80.0.1"], "\(added.output) \(added.log)")
        #expect(try await bench.assignedAddresses() == added.addresses)
        for address in ["10.80.0.0", "fd80::9"] {
            let arguments = "IP=\(address)"
            let refused = try await bench.call("ADD", "c2", namespace: bench.pod(), arguments: arguments, configuration)
            #expect(refused.code == 101, "\(refused.output)")
            #expect(refused.output.contains(address) && refused.output.contains("itself"), "\(refused.output)")
        }
        #expect(try await bench.assignedAddresses() == added.addresses)
    }

    @Test func whereAllAreTakenItIsRefused() async throws {
        try route("10.81.0.0/32", "10.81.0.1/32")
        let configuration = bench.configuration(pools: #"{"name": "tiny", "cidr": "10.81.0.0/31", "blockSize": 31}"#)
        let refused = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(refused.code == 101, "\(refused.output)")
        #expect(try await bench.assignedAddresses() == [])
        #expect(try bench.hostLinks() == ["vpn0", "vpn1"])
    }

    /// What a pod that is no more has left is replaced: the other end of its pair is down, or has the address no more.
    @Test(arguments: [false, true])
    func aLeftoverIsReplaced(_ isUp: Bool) async throws {
        let other = try bench.pod()
        let namespace = Bench.namespace(other)
        try host("link", "add", "cali0123456789a", "type", "veth", "peer", "name", "eth0", "netns", namespace)
        try host("link", "set", "cali0123456789a", "up")
        if isUp { try Bench.run("ip", "-n", namespace, "link", "set", "eth0", "up") }
        try host("route", "add", "10.80.0.0/32", "dev", "cali0123456789a")
        let added = try await bench.call("ADD", "c1", namespace: pod, block)
        #expect(added.addresses == ["10.80.0.0"], "\(added.output) \(added.log)")
        let route = try #require(try bench.ip("route").first { $0["dst"] as? String == "10.80.0.0" })
        #expect(route["dev"] as? String != "cali0123456789a")
        #expect(try bench.ip("route").filter { $0["dst"] as? String == "10.80.0.0" }.count == 1)
    }
}
