import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

/// Rules HC-1 to HC-5: who has a health check, and what it says.
@Suite struct HealthCheckTests {
    private func balanced(
        _ adjust: (inout Service) -> Void = { _ in }
    ) -> Service {
        service(type: .loadBalancer) { service in
            service.externalTrafficPolicy = .local
            service.healthCheckNodePort = 31000
            service.metadata.uid = "u1"
            adjust(&service)
        }
    }

    private func plan(_ service: Service, _ slices: [EndpointSlice], _ family: IPFamily = .ipv4) -> HealthCheck? {
        ServicePlanner().plan(service, with: slices, in: family, on: thisNode).healthCheck
    }

    @Test func onlyLoadBalancersWithALocalPolicyHaveOne() {
        #expect(plan(balanced(), []) == HealthCheck(port: 31000, localEndpoints: 0, uid: "u1"))
        #expect(plan(balanced(), [], .ipv6)?.port == 31000)
        #expect(plan(balanced { $0.externalTrafficPolicy = .cluster }, []) == nil)
        #expect(plan(balanced { $0.type = .nodePort }, []) == nil)
        #expect(plan(balanced { $0.clusterIPs = [address("10.96.0.10")] }, [], .ipv6) == nil)
        #expect(plan(balanced { $0.clusterIPs = [] }, []) == nil)
        // A fault of the Service, which is reported; there is no port to open.
        #expect(plan(balanced { $0.healthCheckNodePort = 0 }, [])?.port == 0)
    }

    struct Count: CustomTestStringConvertible, Sendable {
        let endpoints: [[String]]
        let count: Int
        var ports = [EndpointPort(port: 8080)]
        var testDescription: String { "\(endpoints)" }
    }

    @Test(
        arguments: [
            Count(endpoints: [["10.9.0.1 here", "10.9.0.2 here", "10.9.0.3 there", "10.9.0.4"]], count: 2),
            Count(endpoints: [["10.9.0.1 here unready"]], count: 0),
            Count(endpoints: [["10.9.0.1 here unready terminating"]], count: 0),
            Count(endpoints: [["10.9.0.1 here terminating"]], count: 0),
            Count(
                endpoints: [["10.9.0.1 here"]],
                count: 1,
                ports: [EndpointPort(name: "a", port: 1), EndpointPort(name: "b", port: 2)]
            ),
            Count(endpoints: [["10.9.0.1 here"], ["10.9.0.1 here", "10.9.0.2 here unready"]], count: 1),
            Count(endpoints: [["10.9.0.1 here"]], count: 0, ports: []),
        ]
    )
    func countsReadyPodsOfThisNode(_ example: Count) {
        let slices = example.endpoints.enumerated().map { slice("s\($0)", ports: example.ports, $1) }
        #expect(plan(balanced(), slices)?.localEndpoints == example.count)
    }

    @Test func answersSayWhetherTrafficIsWanted() {
        let name = ObjectName(namespace: "default", name: "web")
        let answer = HealthCheckAnswer(name, localEndpoints: 2, isProxyHealthy: true)
        #expect(answer.code == 200)
        #expect(answer.weight == 2)
        #expect(
            answer.body == """
                {
                    "service": {
                        "namespace": "default",
                        "name": "web"
                    },
                    "localEndpoints": 2,
                    "serviceProxyHealthy": true
                }
                """
        )
        #expect(HealthCheckAnswer(name, localEndpoints: 0, isProxyHealthy: true).code == 503)
        let sick = HealthCheckAnswer(name, localEndpoints: 2, isProxyHealthy: false)
        #expect(sick.code == 503)
        #expect(sick.body.contains("\"serviceProxyHealthy\": false"))
    }
}
