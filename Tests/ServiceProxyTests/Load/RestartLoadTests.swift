import Foundation
import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// The program is killed at any moment, again and again, and started again, while five hundred connections a second go
/// through a Service whose endpoints change, also while nobody looks.
@Suite(.enabled(if: isRoot), .serialized)
struct RestartLoadTests {
    private static let ports: ClosedRange<UInt16> = 9000...9003
    private static let sticky = address("10.96.0.20")

    private static func service(_ name: String, _ spec: String) -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name), namespace: default}
        spec: {\(spec)}

        """
    }

    private static func slice(
        of service: String,
        _ family: IPFamily,
        port: UInt16,
        _ addresses: [IPAddress]
    ) -> String {
        """
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: \(service)-\("\(family)".lowercased())-\(port)
          namespace: default
          labels: {kubernetes.io/service-name: \(service)}
        addressType: \(family)
        ports: [{port: \(port)}]
        endpoints: [\(addresses.map { "{addresses: ['\($0)'], nodeName: here}" }.joined(separator: ", "))]

        """
    }

    private func manifests(_ pool: EndpointPool, on node: TestNode) -> String {
        var text = Self.service(
            "web",
            """
            type: NodePort, clusterIPs: ['\(PacketTests.serviceIPs[.ipv4]!)', '\(PacketTests.serviceIPs[.ipv6]!)'],
             ports: [{port: 80, nodePort: \(ServiceLoad.nodePort)}]
            """
        )
        for family in IPFamily.allCases {
            for port in Self.ports {
                let addresses = pool.addresses(family).filter { $0.port == port }.map(\.address)
                text += Self.slice(of: "web", family, port: port, addresses)
            }
        }
        text += Self.service(
            "sticky",
            """
            type: ClusterIP, clusterIPs: ['\(Self.sticky)'], sessionAffinity: ClientIP, ports: [{port: 80}]
            """
        )
        return text
            + Self.slice(of: "sticky", .ipv4, port: TestNode.port, node.pods.map { $0.addresses[.ipv4]! })
    }

    /// Whether the kernel sends new connections to just those that serve.
    private func isProgrammed(_ pool: EndpointPool, _ kernel: NetfilterSocket) throws -> Bool {
        try ServiceLoad.frontends.allSatisfy { key in
            let table = ServiceTable(family: key.family, options: NFTablesOptions())
            guard case .readable(let observed) = try ObservedTable.read(table, from: kernel),
                let entry = observed.entries[key], let pick = entry.front?.target.pick
            else { return false }
            let found = entry.backends.prefix(Int(pick.count)).map { $0.map { "\($0.address) \($0.port)" } ?? "-" }
            return found.sorted() == pool.addresses(key.family).map { "\($0.address) \($0.port)" }.sorted()
        }
    }

    @Test func killsAndRestartsLoseNoConnection() async throws {
        let node = try TestNode()
        let pool = try EndpointPool(on: node, ports: Self.ports)
        let kernel = try NetfilterSocket(in: node.node)
        let directory = try TemporaryDirectory()
        func write() throws {
            try manifests(pool, on: node).write(
                toFile: "\(directory.path)/all.yaml",
                atomically: true,
                encoding: .utf8
            )
        }
        let arguments = [
            "--manifests", directory.path, "--hostname-override", "here", "--cluster-cidr", "10.9.0.0/16,fd09::/16",
            "--conntrack-max-per-core", "0",
        ]
        try write()
        var proxy = try NodeProgram(in: node.node, arguments)
        defer { proxy.kill() }
        func waitUntilProgrammed() async throws {
            let deadline = ContinuousClock.now + .seconds(30)
            while try !isProgrammed(pool, kernel), ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
            }
            try #require(try isProgrammed(pool, kernel), "\(proxy.log)")
            pool.settle()
        }
        try await waitUntilProgrammed()

        let clients = [node.outside, node.pods[0], node.pods[1], node.pods[2]]
        func homes() throws -> [String] {
            try clients.map { try dial(.tcp, from: $0.namespace, to: Self.sticky, port: 80).pod }
        }
        let home = try homes()

        let end = ContinuousClock.now + .seconds(120)
        var kills = 0
        try await ServiceLoad.run(on: node, endpoints: 3 * Self.ports.count) { load in
            while !load.isDone || kills < 12, ContinuousClock.now < end {
                if Bool.random() {
                    // While it reads, plans or commits; the restart finds what it has made of that.
                    try pool.chooseAtRandom()
                    try write()
                    try await Task.sleep(for: .milliseconds(.random(in: 0...60)))
                    proxy.kill()
                } else {
                    // While nobody looks.
                    proxy.kill()
                    try pool.chooseAtRandom()
                    try write()
                }
                kills += 1
                proxy = try NodeProgram(in: node.node, arguments)
                if Int.random(in: 0..<3) == 0 {
                    // Before it is done with its start.
                    try await Task.sleep(for: .milliseconds(.random(in: 0...400)))
                    proxy.kill()
                    kills += 1
                    proxy = try NodeProgram(in: node.node, arguments)
                }
                try await waitUntilProgrammed()
                #expect(try homes() == home)  // SA-6
                // A change as usual.
                try pool.chooseAtRandom()
                try write()
                try await waitUntilProgrammed()
            }
        }
        #expect(kills >= 12)
        #expect(try homes() == home)
        #expect(proxy.terminate() == 0)
    }
}
