import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct StartOrderTests {
    @Test func whatOthersNeedComesFirstThenTheOldest() {
        var table = FrontendTable()
        func add(_ namespace: String, _ name: String, created: Int64?, address last: UInt8, ports: [UInt16] = [80]) {
            let frontends = ports.map { port in
                Frontend(
                    key: .address(.v4(IPv4Address(10, 96, 0, last)), port == 53 ? .udp : .tcp, port),
                    kind: .clusterIP,
                    servicePort: ServicePortName(namespace: namespace, name: name, port: "\(port)", transport: .tcp),
                    route: Route(backends: [], masquerade: .never, whenEmpty: .reject)
                )
            }
            let id = Catalog.ServiceID(ObjectName(namespace: namespace, name: name), .ipv4)
            _ = table.set(frontends, of: id, created: created.map { Timestamp(seconds: $0) })
        }
        add("default", "new", created: 300, address: 1, ports: [80, 443])
        add("default", "old", created: 100, address: 2)
        add("default", "undated", created: nil, address: 3)
        add("kube-system", "kube-dns", created: 200, address: 4, ports: [9153, 53])
        add("kube-system", "metrics-server", created: 50, address: 5)
        add("default", "kubernetes", created: 400, address: 6, ports: [443])
        let order = table.frontends.map { "\($0.servicePort.name):\($0.servicePort.port)" }
        #expect(
            order == [
                "kubernetes:443", "kube-dns:9153", "kube-dns:53", "metrics-server:80", "old:80", "new:80", "new:443",
                "undated:80",
            ]
        )
    }
}
