import NetworkTypes
import ProxyAPI
import Testing

@testable import Reports

/// The tables of `proxy show`, byte for byte.
@Suite struct ServiceTablesTests {
    private let services = ProxyServices([
        ServicePage(node: "here", services: [web, bare]), ServicePage(node: "here", services: [dns, web]),
    ])

    @Test func aRowForEachFrontend() {
        #expect(
            services.table() == """
                NAMESPACE     NAME   PORT     FRONTEND             KIND             POLICY    AFFINITY   BACKENDS                                                 STATE
                default       bare   <none>   <none>               <none>           <none>    <none>     <none>                                                   Not served: headless
                default       web    http     10.96.0.10:80/TCP    ClusterIP        Cluster   10800s     10.9.0.1:8080*,10.9.0.2:8080,10.9.0.3:8080 + 1 more...   Programmed
                default       web    http     203.0.113.5:80/TCP   LoadBalancerIP   Local     10800s     10.9.0.1:8080* (near: 2)                                 Conflicting: default/old has it
                default       web    http     *:30080/TCP          NodePort         Local     10800s     <none> (drop)                                            Refused: no room
                default       web    http     [fd96::10]:80/TCP    ClusterIP        Cluster   10800s     [fd09::1]:8080                                           Waiting
                default       web    http     [*]:30080/TCP        NodePort         Local     10800s     [fd09::1]:8080 (near: 1)                                 Programmed
                kube-system   dns    53/UDP   10.96.0.53:53/UDP    ClusterIP        Cluster   <none>     <none> (reject)                                          Programmed

                """
        )
    }

    @Test func aWideTableHasEverything() {
        let lines = services.table(isWide: true).split(separator: "\n")
        #expect(
            lines[0].split(separator: " ").map(String.init) == [
                "NAMESPACE", "NAME", "PORT", "FRONTEND", "KIND", "POLICY", "AFFINITY", "BACKENDS", "NEAR-BACKENDS",
                "MASQUERADE", "SOURCES", "STATE",
            ]
        )
        #expect(lines[2].contains("10.9.0.1:8080*,10.9.0.2:8080,10.9.0.3:8080,10.9.0.4:8080   <none>"))
        #expect(lines[2].contains("UnlessLocal"))
        #expect(
            lines[3].contains("10.9.0.1:8080*,10.9.0.2:8080   Never (near: UnlessLocal)   192.0.2.0/24,198.51.100.0/24")
        )
        #expect(lines[4].contains("<all>"))
    }

    @Test func aRowForEachBackend() {
        #expect(
            services.endpointsTable() == """
                NAMESPACE     NAME   PORT     FRONTEND            CLIENTS     BACKEND          NODE     SHARE
                default       web    http     10.96.0.10:80/TCP   all         10.9.0.1:8080    this     25%
                default       web    http     10.96.0.10:80/TCP   all         10.9.0.2:8080    other    25%
                default       web    http     10.96.0.10:80/TCP   all         10.9.0.3:8080    other    25%
                default       web    http     10.96.0.10:80/TCP   all         10.9.0.4:8080    other    25%
                default       web    http     *:30080/TCP         all         <none>           <none>   drop
                default       web    http     [fd96::10]:80/TCP   all         [fd09::1]:8080   other    100%
                default       web    http     [*]:30080/TCP       elsewhere   [fd09::1]:8080   other    100%
                default       web    http     [*]:30080/TCP       node,pods   [fd09::1]:8080   other    100%
                kube-system   dns    53/UDP   10.96.0.53:53/UDP   all         <none>           <none>   reject

                """
        )
    }

    @Test func connectionsAreAColumnWhereTheyAreCounted() {
        var counted = dns
        counted.ports[0].frontends[0].connections = 42
        let table = ProxyServices([ServicePage(node: "here", countsConnections: true, services: [counted])]).table()
        #expect(
            table == """
                NAMESPACE     NAME   PORT     FRONTEND            KIND        POLICY    AFFINITY   BACKENDS          CONNECTIONS   STATE
                kube-system   dns    53/UDP   10.96.0.53:53/UDP   ClusterIP   Cluster   <none>     <none> (reject)   42            Programmed

                """
        )
    }

    @Test func jsonAndYAMLSayTheSame() throws {
        let services = ProxyServices([ServicePage(node: "here", services: [bare, dns])])
        #expect(
            try services.json() == """
                {
                  "node": "here",
                  "services": [
                    {
                      "externalTrafficPolicy": "Cluster",
                      "internalTrafficPolicy": "Cluster",
                      "name": "bare",
                      "namespace": "default",
                      "notServed": "headless",
                      "ports": [],
                      "type": "ClusterIP"
                    },
                    {
                      "externalTrafficPolicy": "Cluster",
                      "internalTrafficPolicy": "Cluster",
                      "name": "dns",
                      "namespace": "kube-system",
                      "ports": [
                        {
                          "frontends": [
                            {
                              "address": "10.96.0.53",
                              "ipFamily": "IPv4",
                              "kind": "ClusterIP",
                              "port": 53,
                              "route": {
                                "backends": [],
                                "isLocalOnly": false,
                                "masquerade": "Never",
                                "whenEmpty": "Reject"
                              },
                              "state": "Programmed"
                            }
                          ],
                          "name": "",
                          "port": 53,
                          "protocol": "UDP"
                        }
                      ],
                      "type": "ClusterIP"
                    }
                  ]
                }

                """
        )
        #expect(
            try services.yaml() == """
                node: here
                services:
                - externalTrafficPolicy: Cluster
                  internalTrafficPolicy: Cluster
                  name: bare
                  namespace: default
                  notServed: headless
                  ports: []
                  type: ClusterIP
                - externalTrafficPolicy: Cluster
                  internalTrafficPolicy: Cluster
                  name: dns
                  namespace: kube-system
                  ports:
                  - frontends:
                    - address: 10.96.0.53
                      ipFamily: IPv4
                      kind: ClusterIP
                      port: 53
                      route:
                        backends: []
                        isLocalOnly: false
                        masquerade: Never
                        whenEmpty: Reject
                      state: Programmed
                    name: ""
                    port: 53
                    protocol: UDP
                  type: ClusterIP

                """
        )
    }

    @Test(
        arguments: [(1, "100%"), (0.5, "50%"), (1.0 / 3, "33.3%"), (1.0 / 7, "14.3%"), (0.0001, "0%")]
            as [(Double, String)]
    )
    func shares(_ probability: Double, _ text: String) {
        #expect(share(probability) == text)
    }
}

private func backend(_ address: String, isLocal: Bool = false) -> BackendReport {
    BackendReport(address: IPAddress(address)!, port: 8080, isLocal: isLocal)
}

private func route(
    _ backends: [BackendReport],
    _ masquerade: RouteReport.Masquerade = .never,
    whenEmpty: String = "Reject"
) -> RouteReport {
    RouteReport(backends: backends, masquerade: masquerade, whenEmpty: whenEmpty)
}

private let bare = ServiceReport(namespace: "default", name: "bare", type: "ClusterIP", notServed: "headless")

private let dns = ServiceReport(
    namespace: "kube-system",
    name: "dns",
    type: "ClusterIP",
    ports: [
        ServicePortReport(
            name: "",
            protocol: "UDP",
            port: 53,
            frontends: [
                FrontendReport(
                    kind: .clusterIP,
                    ipFamily: "IPv4",
                    address: IPAddress("10.96.0.53")!,
                    port: 53,
                    route: route([])
                )
            ]
        )
    ]
)

private let web: ServiceReport = {
    let here = backend("10.9.0.1", isLocal: true)
    let six = backend("fd09::1")
    let frontends = [
        FrontendReport(
            kind: .clusterIP,
            ipFamily: "IPv4",
            address: IPAddress("10.96.0.10")!,
            port: 80,
            route: route([here, backend("10.9.0.2"), backend("10.9.0.3"), backend("10.9.0.4")], .unlessLocal)
        ),
        FrontendReport(
            kind: .loadBalancerIP,
            ipFamily: "IPv4",
            address: IPAddress("203.0.113.5")!,
            port: 80,
            state: .conflicting,
            owner: "default/old",
            route: route([here]),
            nearRoute: route([here, backend("10.9.0.2")], .unlessLocal),
            allowedSources: [CIDR("192.0.2.0/24")!, CIDR("198.51.100.0/24")!]
        ),
        FrontendReport(
            kind: .nodePort,
            ipFamily: "IPv4",
            address: nil,
            port: 30080,
            state: .refused,
            reason: "no room",
            route: route([], whenEmpty: "Drop")
        ),
        FrontendReport(
            kind: .clusterIP,
            ipFamily: "IPv6",
            address: IPAddress("fd96::10")!,
            port: 80,
            state: .waiting,
            route: route([six])
        ),
        FrontendReport(
            kind: .nodePort,
            ipFamily: "IPv6",
            address: nil,
            port: 30080,
            route: route([six]),
            nearRoute: route([six])
        ),
    ]
    return ServiceReport(
        namespace: "default",
        name: "web",
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        sessionAffinitySeconds: 10800,
        ports: [ServicePortReport(name: "http", protocol: "TCP", port: 80, frontends: frontends)]
    )
}()
