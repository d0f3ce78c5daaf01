import NetworkTypes
import Testing

@testable import ServiceProxy

/// Names and words that other people's tools look for.
@Suite struct ChainNameTests {
    static let kubernetes = ServicePortName(namespace: "default", name: "kubernetes", port: "https", transport: .tcp)

    /// As clusters have them.
    @Test func namesAreThoseOfKubeProxy() {
        #expect(ChainName.servicePort(.cluster, Self.kubernetes) == "KUBE-SVC-NPX46M4PTMTKRN6Y")
        let dns = ServicePortName(namespace: "kube-system", name: "kube-dns", port: "dns", transport: .udp)
        #expect(ChainName.servicePort(.cluster, dns) == "KUBE-SVC-TCOU7JCQXEZGVUNU")
        let overTCP = ServicePortName(namespace: "kube-system", name: "kube-dns", port: "dns-tcp", transport: .tcp)
        #expect(ChainName.servicePort(.cluster, overTCP) == "KUBE-SVC-ERIFXISQEP7F7OF4")
        // One hash for all chains of a service port; names have at most 28 characters.
        #expect(ChainName.servicePort(.local, dns) == "KUBE-SVL-TCOU7JCQXEZGVUNU")
        #expect(ChainName.servicePort(.external, dns, 1) != ChainName.servicePort(.external, dns))
        let web = ServicePortName(namespace: "ns1", name: "svc1", port: "p80", transport: .tcp)
        #expect(ChainName.servicePort(.cluster, web) == "KUBE-SVC-XPGD46QRK7WJZT7O")
        let endpoint = Backend(address: address("10.180.0.1"), port: 80, isLocal: false)
        #expect(ChainName.endpoint(endpoint, of: web) == "KUBE-SEP-SXIVWICOYRO3J4NJ")
    }

    @Test(arguments: [
        (1, "1.00000000000"), (2, "0.50000000000"), (3, "0.33333333349"), (7, "0.14285714272"), (10, "0.10000000009"),
        (1000, "0.00100000016"),
    ])
    func chancesAreAsTheKernelKeepsThem(_ count: Int, _ text: String) {
        #expect(RuleText.oneIn(count) == "-m statistic --mode random --probability \(text)")
    }

    @Test func commentsCannotBreakTheInput() {
        #expect(
            RuleText.comment("a/b:c \"\n-A INPUT -j DROP $(x) \u{e4}")
                == "-m comment --comment \"a/b:c ??-A INPUT -j DROP ??x? ??\""
        )
        #expect(RuleText.comment(String(repeating: "x", count: 1000)).utf8.count < 280)
    }
}
