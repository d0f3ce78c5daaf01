import ClusterClient
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Five hundred connections a second through a Service whose endpoints come and go all the time.
@Suite(.enabled(if: isRoot), .serialized)
struct ChurnLoadTests {
    private static let ports: ClosedRange<UInt16> = 9000...9005
    private static let nodePort: UInt16 = 30080
    private static let id = Catalog.ServiceID(ObjectName(namespace: "default", name: "web"), .ipv4)

    private func slices(_ pool: EndpointPool) -> [ClusterClient.ObjectChange] {
        IPFamily.allCases.flatMap { family in
            // A slice has one port for all its endpoints.
            Self.ports.map { port in
                let endpoints = pool.addresses(family).filter { $0.port == port }.map { "\($0.address) here" }
                let type: EndpointSlice.AddressType = family == .ipv4 ? .ipv4 : .ipv6
                return .set(
                    .endpointSlice(
                        slice("web-\(family)-\(port)", family: type, ports: [EndpointPort(port: port)], endpoints)
                    )
                )
            }
        }
    }

    @Test func churnLosesNoConnection() async throws {
        let node = try TestNode()
        let pool = try EndpointPool(on: node, ports: Self.ports)
        let web = service(type: .nodePort, ports: [Service.Port(port: 80, nodePort: Self.nodePort)])
        let proxy = TestProxy(on: node)

        func isProgrammed() -> Bool {
            IPFamily.allCases.allSatisfy { family in
                let wanted = pool.addresses(family).map { "\($0.address) \($0.port)" }.sorted()
                let id = Catalog.ServiceID(Self.id.name, family)
                return proxy.backends(of: id).map { "\($0.address) \($0.port)" }.sorted() == wanted
            }
        }
        func waitUntilProgrammed() async throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while !isProgrammed(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(1)) }
            try #require(isProgrammed())
            pool.settle()
        }

        try await proxy.run([.set(.service(web))] + slices(pool)) {
            try await waitUntilProgrammed()
            let loads = [
                PacedLoad(
                    from: node.outside.namespace,
                    to: PacketTests.serviceIPs[.ipv4]!,
                    port: 80,
                    perSecond: 300
                ),
                PacedLoad(
                    from: node.outside.namespace,
                    to: TestNode.nodeAddresses[.ipv6]!,
                    port: Self.nodePort,
                    perSecond: 200
                ),
            ]
            let end = ContinuousClock.now + .seconds(60)
            var changes = 0
            while loads[0].dialled < 3000 || loads[1].dialled < 2000 || changes < 300, ContinuousClock.now < end,
                loads.allSatisfy({ $0.failures == 0 })
            {
                // Some changes come in bursts.
                for _ in 0..<Int.random(in: 1...3) {
                    try pool.chooseAtRandom()
                    await proxy.receive(slices(pool))
                    changes += 1
                }
                try await waitUntilProgrammed()
            }
            for outcome in loads.map({ $0.stop() }) {
                #expect(outcome.failures.isEmpty, "\(outcome)")
                #expect(outcome.retransmissions == 0, "\(outcome)")
                #expect(outcome.answers.count == 3 * Self.ports.count, "\(outcome)")
            }
            #expect(loads[0].dialled >= 3000)
            #expect(loads[1].dialled >= 2000)
            #expect(changes >= 300)
        }
    }
}
