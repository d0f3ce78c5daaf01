import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct ColdStartTests {
    private func frontend(_ service: Int, port: UInt16 = 80, backends: Int) -> Frontend {
        Frontend(
            key: .address(.v4(IPv4Address(bits: 172 << 24 | UInt32(service))), .tcp, port),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "a", name: "service-\(service)", port: "\(port)", transport: .tcp),
            route: Route(
                backends: (0..<backends).map {
                    Backend(address: .v4(IPv4Address(bits: 10 << 24 | UInt32($0))), port: 80, isLocal: false)
                },
                masquerade: .unlessLocal,
                whenEmpty: .reject
            )
        )
    }

    @Test func batchesAreBoundedByTheirElements() {
        let frontends = (0..<10).map { frontend($0, backends: 9) }
        #expect(
            ColdStart(frontends, hasLocalDetector: true, elementLimit: 35).batches == [0..<3, 3..<6, 6..<9, 9..<10]
        )
        #expect(ColdStart(frontends, hasLocalDetector: true, elementLimit: 1000).batches == [0..<10])
        #expect(ColdStart([], hasLocalDetector: true).batches == [])
    }

    @Test func aServiceIsNotTornApart() {
        let frontends =
            [frontend(0, backends: 5)] + (1...20).map { frontend(1, port: $0, backends: 5) } + [
                frontend(2, backends: 5)
            ]
        let batches = ColdStart(frontends, hasLocalDetector: true, elementLimit: 10).batches
        #expect(batches == [0..<1, 1..<21, 21..<22])
    }

    @Test func chainsComeBeforeFrontends() {
        let few = ColdStart([frontend(0, backends: 3), frontend(1, backends: 0)], hasLocalDetector: true)
        #expect(few.chains.map(\.name) == ["masquerade-unless-local-pick-3"])
        // A large table gets chains for lengths that lists may come to have: later they would cost a walk of the map.
        let many = ColdStart([frontend(0, backends: ColdStart.spareLimit + 1)], hasLocalDetector: false)
        #expect(Set(many.chains.map(\.name)).isSuperset(of: (1...24).map { "pick-\($0)" }))
        #expect(many.chains.contains { $0.name == "pick-\(ColdStart.spareLimit + 1)" })
    }
}
