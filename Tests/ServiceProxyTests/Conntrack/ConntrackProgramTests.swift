import Foundation
import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// The program has connection tracking as it wants it, and counts what it does.
@Suite(.enabled(if: isRoot)) struct ConntrackProgramTests {
    @Test func flowsMoveAndSettingsAreWritten() async throws {
        let node = try TestNode()
        let directory = try TemporaryDirectory()
        func write(pods: [Int]) throws {
            let text = ProxyProgramTests.service("web", "10.96.0.10", pods: pods, nodePort: 30080)
            try text.write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
        }
        try write(pods: [1])
        // The kernel is asked to change the machine's own setting, and refuses in a namespace.
        let maximum = try #require(Int(SettingFile(path: ConntrackSettings.Setting.max.path).read())) + 1
        let proxy = try NodeProgram(
            in: node.node,
            [
                "--manifests", directory.path, "--hostname-override", "here", "--cluster-cidr", "10.9.0.0/16",
                "--conntrack-max-per-core", "1", "--conntrack-min", "\(maximum)",
                "--conntrack-tcp-timeout-established", "4321s", "--conntrack-udp-timeout-stream", "77s",
            ]
        )
        defer { proxy.kill() }
        let client = try TestSocket(
            .udp,
            in: node.outside.namespace,
            bound: node.outside.addresses[.ipv4]!,
            port: 40_000,
            timeout: 200
        )
        try client.connect(to: address("10.96.0.10"), port: 80)
        func answer() -> String? {
            // Refused while there are no rules.
            guard (try? client.send("?")) != nil, let text = try? client.receive() else { return nil }
            return text.split(separator: " ").first.map(String.init)
        }
        try await eventually { answer() == "pod1" }
        try write(pods: [2])
        try await eventually { answer() == "pod2" }

        let (deleted, looks) = (
            "kubeproxy_conntrack_reconciler_deleted_entries_total",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds_count"
        )
        func metric(_ name: String, _ family: String) -> Double? {
            let page = try? HTTPAnswer.of("/metrics", from: node.node, port: 10249).body
            return page.flatMap { try? PrometheusReader($0).value(name, ["ip_family": family]) }
        }
        // A flow moves a moment before the look that moved it is counted.
        try await eventually { metric(deleted, "IPv4").map { $0 >= 1 } == true }
        try await eventually { metric(looks, "IPv4").map { $0 >= 2 } == true }
        #expect(metric(looks, "IPv6") == 0)

        let settings: [ConntrackSettings.Setting] = [.tcpEstablishedTimeout, .tcpCloseWaitTimeout, .udpStreamTimeout]
        let values = try await node.node.run { try settings.map { try SettingFile(path: $0.path).read() } }
        #expect(values == ["4321", "3600", "77"])
        #expect(
            proxy.log.contains("nf_conntrack_max\" wanted=\(maximum)\n"),
            "\(proxy.log)"
        )
        #expect(proxy.log.contains("set conntrack.maxPerCore: 0 to leave it alone"))
        #expect(proxy.terminate() == 0)
    }
}
