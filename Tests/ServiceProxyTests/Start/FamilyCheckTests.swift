import NetworkTypes
import Testing

@testable import ServiceProxy

/// 1.4: which family is the primary one, and what does not fit it.
@Suite struct FamilyCheckTests {
    @Test func theFirstAddressDecides() {
        #expect(FamilyCheck.primary([], fixedAddress: nil) == .ipv4)
        #expect(FamilyCheck.primary([address("fd16::1"), address("172.16.0.1")], fixedAddress: nil) == .ipv6)
        #expect(FamilyCheck.primary([address("fd16::1")], fixedAddress: address("172.16.0.1")) == .ipv4)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var primary = IPFamily.ipv4
        var families = Set(IPFamily.allCases)
        var podCIDRs: [String] = []
        let set: @Sendable (inout KubeProxyConfiguration) -> Void
        var warnings: [String] = []
        var fatal: String?
        let testDescription: String

        static let all = [
            Case(set: { _ in }, testDescription: "nothing"),
            Case(
                podCIDRs: ["10.9.0.0/24", "fd09::/64"],
                set: { $0.clusterCIDR = "fd09::/48,10.9.0.0/16" },
                testDescription: "both families"
            ),
            Case(
                set: { $0.clusterCIDR = "fd09::/48" },
                warnings: ["clusterCIDR has only IPv6"],
                testDescription: "clusterCIDR"
            ),
            Case(
                families: [.ipv4],
                set: { $0.clusterCIDR = "fd09::/48" },
                fatal: "clusterCIDR has only IPv6",
                testDescription: "clusterCIDR, one family"
            ),
            Case(
                families: [.ipv4],
                set: {
                    $0.clusterCIDR = "fd09::/48"
                    $0.detectLocalMode = "BridgeInterface"
                },
                warnings: ["clusterCIDR has only IPv6"],
                testDescription: "clusterCIDR that nothing goes by"
            ),
            Case(
                podCIDRs: ["fd09::/64"],
                set: { _ in },
                warnings: ["spec.podCIDRs of the Node has only IPv6"],
                testDescription: "podCIDRs"
            ),
            Case(
                podCIDRs: ["fd09::/64"],
                set: { $0.detectLocalMode = "NodeCIDR" },
                fatal: "spec.podCIDRs of the Node has only IPv6",
                testDescription: "podCIDRs, NodeCIDR"
            ),
            Case(
                primary: .ipv6,
                families: [.ipv4],
                set: { _ in },
                fatal: "the node's first address is IPv6",
                testDescription: "a family that the kernel has not"
            ),
            Case(
                set: { $0.nodePortAddresses = ["fd00::/8"] },
                warnings: ["nodePortAddresses has only IPv6 addresses, and the node is IPv4 first"],
                testDescription: "node ports of the other family"
            ),
            Case(
                set: {
                    $0.nodePortAddresses = ["10.0.0.0/8"]
                    $0.clusterCIDR = "fd09::/48,10.9.0.0/16"
                },
                warnings: ["nodePortAddresses has only IPv4 addresses, and the cluster has both"],
                testDescription: "node ports of one family in a cluster of two"
            ),
            Case(
                set: {
                    $0.healthzBindAddress = "[fd16::1]:10256"
                    $0.metricsBindAddress = "[::]:10249"
                },
                warnings: ["healthzBindAddress is an IPv6 address"],
                testDescription: "servers"
            ),
        ]
    }

    @Test(arguments: Case.all) func whatDoesNotFit(_ c: Case) {
        var configuration = KubeProxyConfiguration()
        c.set(&configuration)
        let check = FamilyCheck(
            configuration,
            primary: c.primary,
            families: c.families,
            podCIDRs: c.podCIDRs.map { CIDR($0)! }
        )
        #expect(check.warnings.count == c.warnings.count, "\(check.warnings)")
        for (found, wanted) in zip(check.warnings, c.warnings) { #expect(found.hasPrefix(wanted), "\(found)") }
        #expect((check.fatal == nil) == (c.fatal == nil) && check.fatal?.hasPrefix(c.fatal ?? "") ?? true, "\(check)")
    }
}
