import ClusterClient
import KubernetesAPI
import NetworkTypes
import TestSupport

@testable import ServiceProxy

extension ObjectChange {
    /// A change of one of a few objects, in which addresses, ports and names collide.
    static func random(_ random: inout SeededGenerator) -> ObjectChange {
        func pick<Element>(_ choices: [Element]) -> Element { choices.randomElement(using: &random)! }
        func name(_ text: String) -> ObjectName { ObjectName(namespace: "default", name: text) }
        let services = ["a", "b", "c", "d"]
        func endpoints(_ prefix: String) -> [String] {
            (1...4).filter { _ in Bool.random(using: &random) }.map {
                "\(prefix)\($0) "
                    + pick([
                        "here", "there", "here unready", "there unready terminating", "there zone=z1", "here zone=z2",
                    ])
            }
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3:
            let created = pick([nil, 1, 2] as [Int64?])
            return .set(
                .service(
                    // A small space of addresses and ports, so that Services collide.
                    service(
                        pick(services),
                        type: pick([.clusterIP, .nodePort, .loadBalancer, .externalName]),
                        clusterIPs: pick([["10.96.0.1", "fd96::1"], ["10.96.0.2"], ["10.96.0.3"], []]),
                        ports: pick([
                            [Service.Port(port: 80, nodePort: pick([0, 30000, 30001]))],
                            [
                                Service.Port(name: "x", port: 80),
                                Service.Port(name: "y", transport: .udp, port: 80, nodePort: 30000),
                            ],
                        ]),
                        created: created
                    ) {
                        $0.externalIPs = pick([
                            [], [address("192.0.2.1")], [address("192.0.2.1"), address("10.96.0.2")],
                        ])
                        $0.externalTrafficPolicy = pick([.cluster, .local])
                        $0.internalTrafficPolicy = pick([.cluster, .local])
                        $0.metadata.labels = pick([[:], [:], [LabelKey.serviceProxyName: "x"]])
                    }
                )
            )
        case 3: return .delete(ObjectKey(.service, name(pick(services))))
        case 4..<7:
            let isIPv6 = Bool.random(using: &random)
            return .set(
                .endpointSlice(
                    slice(
                        pick(["s1", "s2", "s3", "s4", "s5"]),
                        of: pick(services + [""]),
                        family: isIPv6 ? .ipv6 : .ipv4,
                        ports: pick([
                            [EndpointPort(port: 8080)],
                            [EndpointPort(name: "x", port: 8080), EndpointPort(name: "y", transport: .udp, port: 53)],
                        ]),
                        endpoints(isIPv6 ? "fd09::" : "10.9.0.")
                    )
                )
            )
        case 7: return .delete(ObjectKey(.endpointSlice, name(pick(["s1", "s2", "s3", "s4", "s5"]))))
        case 8:
            let endpoints = Endpoints(
                metadata: ObjectMeta(name: pick(services), namespace: "default"),
                subsets: [.init(endpoints: endpoints("10.9.1.").map { endpoint($0) }, ports: [EndpointPort(port: 9)])]
            )
            return Bool.random(using: &random)
                ? .set(.endpoints(endpoints)) : .delete(ObjectKey(.endpoints, endpoints.metadata.objectName))
        default:
            return .set(
                .node(
                    Node(
                        metadata: ObjectMeta(
                            name: "here",
                            labels: pick([[LabelKey.zone: "z1"], [LabelKey.zone: "z2"]])
                        )
                    )
                )
            )
        }
    }
}
