import Foundation
import Testing

/// `swiftlet-ipam` under Debian's main plugins, really run.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct OtherMainPluginTests {
    /// A network whose pool is one link, so that the pods reach each other without the node.
    private func main(_ bench: Bench, _ plugin: String, routes: String = "") -> String {
        #"""
        {\#(plugin), "data_dir": "\#(bench.dataDirectory)", "nodename": "node-1",
         "ipam": {"type": "swiftlet-ipam", "assign_ipv6": "true", "routes": [\#(routes)],
          "pools": [\#(Bench.pool4), \#(Bench.pool6)]}}
        """#
    }

    private func life(_ bench: Bench, _ plugin: String) async throws {
        let routes = #"{"dst": "10.80.0.0/24"}, {"dst": "fd80::/120"}"#
        let chain = try PluginChain(bench, main(bench, plugin, routes: routes))
        let pods = [try bench.pod(), try bench.pod()]
        var results: [Bench.Outcome] = []
        for (index, pod) in pods.enumerated() {
            let added = try await chain.add("c\(index)", pod)
            try #require(added.status == 0, "\(added.output) \(added.log)")
            #expect(added.addresses.count == 2)
            #expect(try Set(bench.podAddresses(pod)) == Set(added.addresses))
            results.append(added)
        }
        let addresses = results.flatMap(\.addresses)
        #expect(Set(addresses).count == 4)
        #expect(try await bench.assignedAddresses() == addresses.sorted())
        // They are recorded, so that nobody takes them for leaks.
        #expect(try await bench.recordedAddresses() == addresses.sorted())
        for (index, option) in ["-4", "-6"].enumerated() {
            let deadline = ContinuousClock.now + .seconds(20)
            var answered = false
            while !answered, ContinuousClock.now < deadline {
                let target = results[1].addresses[index]
                let ping = ["timeout", "3", "busybox", "ping", option, "-c", "1", "-W", "1", target]
                answered = (try? bench.inside(pods[0], ping)) != nil
            }
            #expect(answered, "no answer from \(results[1].addresses[index])")
        }
        // Debian's main plugins look for a connected route when they check, which a /32 does not make; ours is asked alone.
        let ipam = try PluginChain(bench, main(bench, #""type": "swiftlet-ipam""#))
        for (index, pod) in pods.enumerated() {
            let check = try await ipam.check("c\(index)", pod, results[index])
            #expect(check == nil)
            try await chain.delete("c\(index)", pod, results[index])
            let gone = try await ipam.check("c\(index)", pod, results[index])
            #expect(gone != nil)
        }
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == [])
    }

    @Test func bridge() async throws {
        try await life(Bench(), #""type": "bridge", "bridge": "br0""#)
    }

    @Test func macvlan() async throws {
        let bench = try Bench()
        try bench.inside(nil, "ip", "link", "add", "up0", "type", "veth", "peer", "up1")
        for end in ["up0", "up1"] { try bench.inside(nil, "ip", "link", "set", end, "up") }
        try await life(bench, #""type": "macvlan", "master": "up0", "mode": "bridge""#)
    }

    /// The main plugin fails after we gave addresses: its DEL gives them back.
    @Test func addressesOfAFailedAddGoBack() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let chain = try PluginChain(bench, main(bench, #""type": "macvlan", "master": "nothing0""#))
        let refused = try await chain.add("c1", pod)
        #expect(refused.status == 1)
        try? await chain.delete("c1", pod, nil)
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == [])
    }
}
