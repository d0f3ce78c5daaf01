import Foundation
import NetworkTypes
import Testing

@testable import ProxyAPI

@Suite struct ProxyQueryTests {
    @Test(arguments: ["10.9.0.1", "[fd00::1]:80/TCP", "a b+c&d=e%", "ü", "%41"])
    func whatIsWrittenIsReadBack(_ text: String) throws {
        var query = ProxyQuery()
        query["to"] = text
        query["from"] = "pod"
        #expect(query.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f })
        let read = try #require(ProxyQuery(query.text))
        #expect(read == query)
        #expect(read["to"] == text)
        #expect(read["interface"] == nil)
    }

    @Test(arguments: ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "%=a"])
    func brokenEscapesAreRefused(_ text: String) {
        #expect(ProxyQuery(text) == nil)
    }

    @Test func emptyValuesAreNone() {
        #expect(ProxyQuery("a=&b&c=1&c=2&&")?["a"] == nil)
        #expect(ProxyQuery("a=&b&c=1&c=2&&")?["b"] == nil)
        #expect(ProxyQuery("a=&b&c=1&c=2&&")?["c"] == "2")
        #expect(ProxyQuery("")?.text == "")
    }

    @Test func pagesKeepTheirJSON() throws {
        let backend = BackendReport(address: IPAddress("10.9.0.1")!, port: 8080, isLocal: true)
        let page = ServicePage(
            node: "here",
            services: [
                ServiceReport(
                    namespace: "default",
                    name: "web",
                    type: "ClusterIP",
                    ports: [
                        ServicePortReport(
                            name: "http",
                            protocol: "TCP",
                            port: 80,
                            frontends: [
                                FrontendReport(
                                    kind: .clusterIP,
                                    ipFamily: "IPv4",
                                    address: IPAddress("10.96.0.10")!,
                                    port: 80,
                                    route: RouteReport(
                                        backends: [backend],
                                        masquerade: .unlessLocal,
                                        whenEmpty: "Reject"
                                    )
                                )
                            ]
                        )
                    ]
                )
            ]
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(page)
        // The names are what people's scripts read.
        #expect(
            String(decoding: data, as: UTF8.self) == """
                {"awaiting":[],"countsConnections":false,"node":"here","services":[{"externalTrafficPolicy":"Cluster",\
                "internalTrafficPolicy":"Cluster","name":"web","namespace":"default","ports":[{"frontends":[\
                {"address":"10.96.0.10","ipFamily":"IPv4","kind":"ClusterIP","port":80,"route":{"backends":[\
                {"address":"10.9.0.1","isLocal":true,"port":8080}],"isLocalOnly":false,"masquerade":"UnlessLocal",\
                "whenEmpty":"Reject"},"state":"Programmed"}],"name":"http","port":80,"protocol":"TCP"}],\
                "type":"ClusterIP"}]}
                """
        )
        #expect(try JSONDecoder().decode(ServicePage.self, from: data) == page)
    }
}
