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
        let web = service(type: .nodePort, ports: [Service.Port(port: 80, nodePort: ServiceLoad.nodePort)])
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
            let end = ContinuousClock.now + .seconds(60)
            var changes = 0
            try await ServiceLoad.run(on: node, endpoints: 3 * Self.ports.count) { load in
                while !load.isDone || changes < 300, ContinuousClock.now < end {
                    // Some changes come in bursts.
                    for _ in 0..<Int.random(in: 1...3) {
                        try pool.chooseAtRandom()
                        await proxy.receive(slices(pool))
                        changes += 1
                    }
                    try await waitUntilProgrammed()
                }
            }
            #expect(changes >= 300)
        }
    }
}
