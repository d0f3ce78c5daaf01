import ClusterClient
import Foundation
import IPAM
import Testing

/// CHECK sees whatever has changed since ADD, one thing at a time (3.7).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct CheckTests {
    /// One change: a command on the host or in the pod, with `HOST` and `ADDRESS` for the names, and what is said of it.
    struct Change: Sendable, CustomTestStringConvertible {
        let isInPod: Bool
        let command: String
        let said: String
        var testDescription: String { (isInPod ? "pod: " : "host: ") + command }

        static func host(_ command: String, _ said: String) -> Change {
            Change(isInPod: false, command: command, said: said)
        }

        static func pod(_ command: String, _ said: String) -> Change {
            Change(isInPod: true, command: command, said: said)
        }
    }

    static let changes: [Change] = [
        .host("ip link set HOST down", "is down"),
        .host("ip route del ADDRESS dev HOST", "lacks the route ADDRESS/32"),
        .host("sysctl -qw net.ipv4.conf.HOST.proxy_arp=0", "proxy_arp"),
        .host("sysctl -qw net.ipv4.conf.HOST.forwarding=0", "forwarding"),
        .host("sysctl -qw net.ipv6.conf.HOST.disable_ipv6=1", "disable_ipv6"),
        .host("ip link set HOST mtu 1300", "MTU 1300 instead of 1400"),
        .host("ip link set HOST address 02:00:00:00:00:01", "02:00:00:00:00:01"),
        .host("ip link del HOST", "does not exist"),
        .pod("ip link set eth0 down", "is down"),
        .pod("ip link set eth0 mtu 1300", "MTU 1300 instead of 1400"),
        .pod("ip link set eth0 address 02:00:00:00:00:01", "02:00:00:00:00:01"),
        .pod("ip addr del ADDRESS/32 dev eth0", "lacks address ADDRESS/32"),
        .pod("ip neigh del 169.254.1.1 dev eth0", "neighbour 169.254.1.1"),
        .pod("ip route del default", "lacks the route 0.0.0.0/0"),
        .pod("ip -6 route del default", "lacks the route ::/0"),
        .pod("sysctl -qw net.ipv4.ip_forward=1", "ip_forward"),
        .pod("ip link set eth0 name eth9", "does not exist"),
    ]

    private func added(_ bench: Bench, _ pod: String) async throws -> (Bench.Outcome, configuration: String) {
        let members = #", "mtu": 1400"#
        let added = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(ipv6: true, extra: members))
        try #require(added.status == 0, "\(added.output) \(added.log)")
        return (added, bench.configuration(ipv6: true, extra: members + #", "prevResult": \#(added.output)"#))
    }

    @Test(arguments: changes)
    func whatChangedIsTold(_ change: Change) async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let (added, configuration) = try await added(bench, pod)
        let before = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(before.status == 0, "\(before.output)")
        let host = try #require(try bench.hostLinks().first)
        let address = try #require(added.addresses.first)
        func filled(_ text: String) -> String {
            text.replacingOccurrences(of: "HOST", with: host).replacingOccurrences(of: "ADDRESS", with: address)
        }
        try bench.inside(change.isInPod ? pod : nil, filled(change.command).split(separator: " ").map(String.init))
        let checked = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(checked.code == 104, "\(checked.output)")
        let details = try #require(checked.json["details"] as? String)
        #expect(details.contains(filled(change.said)), "\(details)")
    }

    /// What the runtime is told: a change of it, and what is said of that; nothing where the pod may be so (K2, K3).
    struct Told: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let said: String?
        let change: @Sendable (inout [String: Any]) -> Void

        init(_ name: String, _ said: String?, _ change: @escaping @Sendable (inout [String: Any]) -> Void) {
            (testDescription, self.said, self.change) = (name, said, change)
        }
    }

    private static func append(_ element: [String: Any], to key: String, _ result: inout [String: Any]) {
        result[key] = ((result[key] as? [[String: Any]]) ?? []) + [element]
    }

    private static func change(
        _ key: String,
        _ index: Int,
        _ result: inout [String: Any],
        _ member: String,
        _ value: Any
    ) {
        guard var list = result[key] as? [[String: Any]] else { return }
        list[index][member] = value
        result[key] = list
    }

    static let told: [Told] = [
        Told("nothing", nil) { _ in },
        Told("another address on our interface", "lacks address 10.1.1.1/32") {
            append(["address": "10.1.1.1/32", "interface": 1], to: "ips", &$0)
        },
        Told("our address on the host's end", "not in prevResult") { change("ips", 0, &$0, "interface", 0) },
        Told("a longer prefix", "/24") { change("ips", 0, &$0, "address", "10.80.0.0/24") },
        Told("a route to the host", "lacks the route 192.0.2.0/24 via 169.254.1.1") {
            append(["dst": "192.0.2.0/24", "gw": "169.254.1.1"], to: "routes", &$0)
        },
        Told("a route of nobody else", "lacks the route 192.0.2.0/24") {
            append(["dst": "192.0.2.0/24"], to: "routes", &$0)
        },
        Told("another's address and route", nil) {
            append(["name": "eth7", "sandbox": "/x"], to: "interfaces", &$0)
            append(["address": "10.1.1.1/24", "interface": 2], to: "ips", &$0)
            append(["dst": "192.0.2.0/24", "gw": "10.1.1.254"], to: "routes", &$0)
        },
        Told("another namespace", "by prevResult") { change("interfaces", 1, &$0, "sandbox", "/run/netns/nowhere") },
        Told("another MTU", "MTU 1400 instead of 1300") { change("interfaces", 1, &$0, "mtu", 1300) },
    ]

    @Test(arguments: told)
    func whatIsToldIsLookedFor(_ told: Told) async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let (added, _) = try await added(bench, pod)
        var result = added.json
        told.change(&result)
        let text = String(decoding: try JSONSerialization.data(withJSONObject: result), as: UTF8.self)
        let configuration = bench.configuration(ipv6: true, extra: #", "mtu": 1400, "prevResult": \#(text)"#)
        let checked = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        if let said = told.said {
            #expect(checked.code == 104 && checked.output.contains(said), "\(checked.output)")
        } else {
            #expect(checked.status == 0, "\(checked.output)")
        }
    }

    /// "The plugin must allow for a later chained plugin to have modified networking resources, e.g. routes" (CHECK in the
    /// specification): one that replaces a route says so in the result.
    @Test func aRouteThatWasReplacedIsNotMissed() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let (added, _) = try await added(bench, pod)
        try bench.inside(pod, "ip", "route", "replace", "192.0.2.0/24", "via", "169.254.1.1", "dev", "eth0")
        try bench.inside(pod, "ip", "route", "del", "default")
        var result = added.json
        let routes = try #require(result["routes"] as? [[String: Any]])
        result["routes"] =
            routes.filter { $0["dst"] as? String != "0.0.0.0/0" } + [["dst": "192.0.2.0/24", "gw": "169.254.1.1"]]
        let text = String(decoding: try JSONSerialization.data(withJSONObject: result), as: UTF8.self)
        let configuration = bench.configuration(ipv6: true, extra: #", "mtu": 1400, "prevResult": \#(text)"#)
        let checked = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(checked.status == 0, "\(checked.output)")
        try bench.inside(pod, "ip", "route", "del", "192.0.2.0/24")
        let missing = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(missing.code == 104 && missing.output.contains("192.0.2.0/24"), "\(missing.output)")
    }

    @Test func theRecordsAreLookedAtToo() async throws {
        let bench = try Bench()
        let pod = try bench.pod()
        let (_, configuration) = try await added(bench, pod)
        let record = try #require(try await bench.store.list(.resources(.workloadEndpoints)).first)
        _ = try await bench.store.commit([.delete(record.key, record.revision)])
        let unrecorded = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(unrecorded.code == 104 && unrecorded.output.contains("no endpoint"), "\(unrecorded.output)")
        _ = try await bench.store.commit([.create(record.key, record.value)])
        #expect(try await bench.call("CHECK", "c1", namespace: pod, configuration).status == 0)

        let allocator = Allocator(datastore: bench.store, host: "node-1")
        _ = try await allocator.release(handle: "pods.c1", interface: "eth0")
        let released = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(released.code == 104 && released.output.contains("is not assigned"), "\(released.output)")

        try bench.removePod(pod)
        let gone = try await bench.call("CHECK", "c1", namespace: pod, configuration)
        #expect(gone.code == 8, "\(gone.output)")
        #expect(try await bench.call("DEL", "c1", namespace: pod, configuration).status == 0)
        let unknown = try await bench.call("CHECK", "c1", namespace: bench.pod(), configuration)
        #expect(unknown.code == 3, "\(unknown.output)")
    }
}
