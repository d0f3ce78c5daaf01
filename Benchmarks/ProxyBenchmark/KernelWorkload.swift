import NetworkTypes
import ServiceProxy

/// Frontends of Services with the same number of endpoints each, none of them on this node but one in ten.
struct KernelWorkload {
    let services: Int
    let endpoints: Int

    var frontends: [Frontend] { (0..<services).map { frontend($0, addresses(of: $0)) } }

    func addresses(of service: Int) -> [UInt32] {
        (0..<endpoints).map { 10 << 24 | 1 << 20 | UInt32(service * endpoints + $0) }
    }

    func frontend(_ service: Int, _ addresses: [UInt32]) -> Frontend {
        Frontend(
            key: .address(.v4(IPv4Address(bits: 172 << 24 | 30 << 16 | UInt32(service))), .tcp, 80),
            kind: .clusterIP,
            servicePort: ServicePortName(
                namespace: "namespace-\(service % 100)",
                name: "service-\(service)",
                port: "http",
                transport: .tcp
            ),
            route: Route(
                backends: addresses.sorted().enumerated().map { index, bits in
                    Backend(address: .v4(IPv4Address(bits: bits)), port: 8080, isLocal: service % 10 == 0 && index == 0)
                },
                masquerade: .unlessLocal,
                whenEmpty: .reject
            )
        )
    }
}
