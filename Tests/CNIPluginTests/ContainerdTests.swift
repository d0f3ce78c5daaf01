import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

/// A real containerd, whose CRI attaches each pod to two networks of ours, with both families.
@Suite(.enabled(if: geteuid() == 0, "makes namespaces"))
struct ContainerdTests {
    private struct Pod: Decodable {
        /// What the kubelet is told.
        let told: [String]
        let interfaces: [String: [String]]

        var all: [String] { interfaces.values.flatMap { $0 } }
    }

    private struct Answer: Decodable {
        let pods: [String: Pod]
        let host: [String]
        let afterFirst: [String]
        let afterAll: [String]
    }

    private static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Containerd/two_networks.py").path

    @Test func twoNetworksOnOnePod() async throws {
        let state = try TemporaryDirectory()
        let output = try Bench.run(
            "timeout",
            "120",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "/usr/bin/python3",
            Self.script,
            state.path,
            Bench.program
        )
        let answer = try JSONDecoder().decode(Answer.self, from: Data(output.utf8))
        #expect(answer.pods.count == 2)
        var all: Set<String> = []
        for (name, pod) in answer.pods {
            #expect(Set(pod.interfaces.keys) == ["eth0", "eth1"], "\(name)")
            // 3.11: the kubelet hears of the first network's addresses, IPv4 first.
            let first = try #require(pod.interfaces["eth0"])
            #expect(pod.told == first, "\(name)")
            for addresses in pod.interfaces.values {
                #expect(addresses.compactMap { IPAddress($0)?.family } == [.ipv4, .ipv6], "\(name)")
            }
            all.formUnion(pod.all)
        }
        #expect(all.count == 8, "every interface has addresses of its own")
        // Only the second network takes the capability with which containerd passes annotations.
        #expect(answer.pods["web-1"]?.interfaces["eth1"] == ["10.80.0.77", "fd80::77"])
        #expect(answer.host.count == 4)
        #expect(answer.afterFirst.count == 2 && Set(answer.afterFirst).isSubset(of: answer.host))
        #expect(answer.afterAll == [])
        let store = LocalDatastore(dataDirectory: state.path + "/data")
        #expect(try await store.list(.resources(.workloadEndpoints)) == [])
        #expect(try await store.keys(.handles) == [])
        #expect(try await store.list(.resources(.ipPools)).count == 2)
    }
}
