import NetworkTypes
import Testing

@testable import ClusterClient

@Suite struct CalicoKeysTests {
    // reference/calico.md 2.9
    static let paths: [(RecordKey, String)] = [
        (.block(CIDR("10.65.79.0/26")!), "ipam/v2/assignment/ipv4/block/10.65.79.0-26"),
        (.block(CIDR("fd00::/122")!), "ipam/v2/assignment/ipv6/block/fd00::-122"),
        (.blockAffinity(.host("worker-1"), CIDR("10.65.79.0/26")!), "ipam/v2/host/worker-1/ipv4/block/10.65.79.0-26"),
        (
            .blockAffinity(.virtual("load-balancer"), CIDR("10.65.79.0/26")!),
            "ipam/v2/virtual/load-balancer/ipv4/block/10.65.79.0-26"
        ),
        (.handle("k8s-pod-network.7f31c0de55aa"), "ipam/v2/handle/k8s-pod-network.7f31c0de55aa"),
        (.ipamConfiguration, "ipam/v2/config"),
        (.resource(.ipPools, name: "default"), "resources/v3/projectcalico.org/ippools/default"),
        (
            .resource(.workloadEndpoints, namespace: "shop", name: "a"),
            "resources/v3/projectcalico.org/workloadendpoints/shop/a"
        ),
    ]

    @Test(arguments: paths)
    func pathsAreCalicos(_ key: RecordKey, _ path: String) {
        #expect(key.calicoPath.joined(separator: "/") == path)
        #expect(RecordKey(calicoPath: path.split(separator: "/").map(String.init)) == key)
    }

    @Test(arguments: [
        "", "ipam", "ipam/v2/handle", "ipam/v2/config/x", "ipam/v1/config", "ipam/v2/assignment/ipv4/block/10.0.0.0",
        "ipam/v2/assignment/ipv6/block/10.0.0.0-26", "ipam/v2/assignment/ipv4/block/010.0.0.0-26",
        "ipam/v2/assignment/ipv4/block/10.0.0.0-33", "resources/v3/projectcalico.org/unknown/x",
        "ipam/v2/switch/x/ipv4/block/10.0.0.0-26",
    ])
    func otherPathsAreRefused(_ path: String) {
        #expect(RecordKey(calicoPath: path.split(separator: "/").map(String.init)) == nil)
    }

    @Test(arguments: [
        ("plain-Name_1.2:3", "plain-Name_1.2:3"), (".", "%2E"), ("..", "%2E."), (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("é", "%C3%A9"), ("%", "%25"), ("a b\n\0", "a%20b%0A%00"), ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
    ])
    func namesAreEscaped(_ part: String, _ name: String) {
        #expect(RecordPath.escape(part) == name)
        #expect(RecordPath.unescape(name) == part)
    }

    @Test(arguments: ["%", "%2", "%zz", "%2e", "%41", ".x", "a b", "a~", "%FF"])
    func namesThatNothingEscapesToAreForeign(_ name: String) {
        #expect(RecordPath.unescape(name) == nil)
    }

    @Test(arguments: [
        RecordKey.handle(""), .handle(String(repeating: "x", count: 256)), .handle(String(repeating: "/", count: 86)),
    ])
    func namesThatNoFileCanHaveAreRefused(_ key: RecordKey) {
        #expect(throws: DatastoreError.self) { try RecordPath(key) }
    }
}
