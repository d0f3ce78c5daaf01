import ClusterClient
import NetworkTypes
import Testing

@testable import KubernetesStore

@Suite struct ObjectNamesTests {
    @Test(arguments: [
        ("10.65.79.0/26", "10-65-79-0-26"), ("10.0.0.1/32", "10-0-0-1-32"), ("fd00::/122", "fd00---122"),
        ("fd5f:abcd:64:0:1f2e:3d4c:5b6a:7980/122", "fd5f-abcd-64-0-1f2e-3d4c-5b6a-7980-122"),
    ])
    func blocksAreNamedByTheirPrefix(_ cidr: String, _ name: String) throws {
        let cidr = try #require(CIDR(cidr))
        #expect(ObjectNames.block(cidr) == name)
        #expect(ObjectNames.block(named: name) == cidr)
    }

    @Test(arguments: ["", "10-65-79-26", "10-65-79-0-33", "010-65-79-0-26", "10.65.79.0-26", "default"])
    func otherNamesAreOfNoBlock(_ name: String) {
        #expect(ObjectNames.block(named: name) == nil)
    }

    @Test func affinitiesHaveTheNodesNameAndOfALongOneAPart() throws {
        let cidr = try #require(CIDR("10.65.79.0/26"))
        #expect(ObjectNames.affinity(.host("worker-1"), cidr) == "worker-1-10-65-79-0-26")
        #expect(ObjectNames.affinity(.virtual("load-balancer"), cidr) == "load-balancer-10-65-79-0-26")

        let longest = String(repeating: "n", count: 238)
        #expect(ObjectNames.affinity(.host(longest), cidr) == longest + "-10-65-79-0-26")
        // K rule: from 253 bytes on the name is cut, and the first 11 digits of a hash make it one of a kind.
        let long = String(repeating: "n", count: 253)
        let name = ObjectNames.affinity(.host(long), cidr)
        #expect(name == String(repeating: "n", count: 226) + "-10-65-79-0-26-8960b893b80")
        #expect(ObjectNames.isName(name))
        #expect(name != ObjectNames.affinity(.host(String(repeating: "n", count: 252)), cidr))
    }

    // H2
    @Test(arguments: [
        ("k8s-pod-network.7f31c0de", ["k8s-pod-network.7f31c0de", "k8s-pod-network-7f31c0de-x-"]),
        ("Net.ABC", ["net-abc-x-", "net.abc"]),
        ("k8s_net.abc", ["k8s-net-abc-x-"]),
        ("..", ["x-"]),
        ("a/../b", ["a-b-x-"]),
        ("é", ["x-"]),
    ])
    func handlesAreLookedForUnderTheirNameAndCalicos(_ id: String, _ expected: [String]) {
        let names = ObjectNames.handle(id)
        #expect(names.count == expected.count)
        for (name, start) in zip(names, expected) {
            #expect(
                start.hasSuffix("x-")
                    ? name.hasPrefix(start) && name.utf8.count == start.utf8.count + 32 : name == start
            )
            #expect(ObjectNames.isName(name))
        }
    }

    @Test func handlesThatDifferInCaseDoNotMeet() {
        #expect(ObjectNames.handle("net.abc")[0] != ObjectNames.handle("NET.abc")[0])
        #expect(ObjectNames.handle("NET.abc")[0] != ObjectNames.handle("net.ABC")[0])
        #expect(ObjectNames.isName(ObjectNames.handle(String(repeating: "x", count: 400))[0]))
    }

    // K1
    @Test func labelsSelectTheBlocksOfAHost() {
        #expect(
            AffinityLabels.selector(.host("worker-1"), .ipv4)
                == "projectcalico.org/affinity-type=host,projectcalico.org/hostname-hash="
                + "CPU5J3TPSNHFA66J45DG4Z5C3PSJAZ36LD46JZLYEGZSTAWBUCUA,projectcalico.org/ip-version=4"
        )
    }

    @Test func endpointsNamesAreTakenApart() {
        let name = EndpointName("node--a-k8s-my--pod--0-eth0")
        #expect(name?.node == "node-a" && name?.pod == "my-pod-0" && name?.interfaceName == "eth0")
        #expect(
            EndpointName.text(node: "node-a", pod: "my-pod-0", interfaceName: "eth0") == "node--a-k8s-my--pod--0-eth0"
        )
        for other in ["node-cni-0123-eth0", "node-k8s-pod", "", "a-k8s-pod-" + String(repeating: "0", count: 40)] {
            #expect(EndpointName(other) == nil)
        }
    }
}
