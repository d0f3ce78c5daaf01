import KubernetesAPI
import Testing

@testable import ServiceProxy

/// What a Service asks for by annotation.
struct BalancingWishTests {
    private static func plan(_ annotations: [String: String]) -> ServicePlan {
        let web = service { $0.metadata.annotations = annotations }
        return ServicePlanner().plan(web, with: [slice("a", ["10.9.0.1 here"])], in: .ipv4, on: thisNode)
    }

    @Test(arguments: BalancingWish.Algorithm.allCases)
    func everyAlgorithmReachesTheFrontends(algorithm: BalancingWish.Algorithm) {
        let plan = Self.plan(["swiftlet.io/load-balancing": algorithm.rawValue, "swiftlet.io/proxy-protocol": "v2"])
        #expect(plan.frontends.map(\.balancing) == [BalancingWish(algorithm: algorithm, sendsProxyHeader: true)])
        #expect(plan.unreadableAnnotations.isEmpty)
    }

    @Test
    func whatIsNotKnownIsNamedWithWhatIs() {
        let plan = Self.plan(["swiftlet.io/load-balancing": "fastest", "swiftlet.io/proxy-protocol": "v1"])
        #expect(plan.frontends.map(\.balancing) == [BalancingWish()])
        #expect(
            plan.unreadableAnnotations == [
                "swiftlet.io/load-balancing: \"fastest\" is none of random, round-robin, least-connections, maglev",
                "swiftlet.io/proxy-protocol: \"v1\" is none of v2",
            ]
        )
    }
}
