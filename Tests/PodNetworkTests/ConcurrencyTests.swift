import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

@Suite(.enabled(if: isRoot))
struct ConcurrencyTests {
    @Test func fiftyPodsAtOnce() async throws {
        let node = try PodFixture()
        let before = try PodFixture.snapshot(of: node.host)
        let pods = try (1...50).map { try node.pod("web-\($0)", "10.80.0.\($0)", "fd00:80::\($0)") }
        try await withThrowingTaskGroup(of: PodInterfaces.self) { group in
            for pod in pods {
                let request = pod.request
                let host = node.host
                group.addTask { try await host.run { try PodNetwork.attach(request) } }
            }
            var names: Set<String> = []
            for try await result in group { names.insert(result.host.name) }
            #expect(names.count == 50)
        }
        for pod in pods {
            let request = pod.request
            #expect(try await node.host.run { try PodNetwork.differences(from: request) } == [])
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pod in pods {
                let (request, host, addresses) = (pod.request, node.host, pod.addresses)
                group.addTask {
                    try await host.run {
                        try PodNetwork.detach(
                            namespacePath: request.namespacePath,
                            interfaceName: "eth0",
                            hostInterfaceNames: [request.hostInterfaceName],
                            addresses: addresses
                        )
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try PodFixture.snapshot(of: node.host) == before)
    }

    @Test func samePodTwiceAtOnceEndsWithOnePair() async throws {
        let node = try PodFixture()
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let (request, host) = (pod.request, node.host)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    // Rule V12: must not happen. Some may fail, since they remove each other's half-made pairs.
                    _ = try? await host.run { try PodNetwork.attach(request) }
                }
            }
        }
        try await host.run { _ = try PodNetwork.attach(request) }
        #expect(try await host.run { try PodNetwork.differences(from: request) } == [])
        #expect(try await host.run { try NetlinkSocket().list(.links()).count } == 2)
    }
}
