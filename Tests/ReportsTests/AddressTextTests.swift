import ClusterClient
import IPAM
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import Reports

@Suite struct AddressTextTests {
    @Test func anAddressInUse() async throws {
        let report = try await report(
            "10.80.44.193",
            attribute: .init(
                handleID: "k8s-pod-network.7f31c0de55aa",
                secondary: [
                    "timestamp": "2026-11-20 08:14:03.120045 +0000 UTC", "pod": "cart-5d9c", "node": "worker-2",
                    "namespace": "shop",
                ]
            )
        )
        #expect(report.isAssigned)
        #expect(
            report.text == """
                IP 10.80.44.193 is in use
                Handle ID: k8s-pod-network.7f31c0de55aa
                Active Owner Attributes:
                  namespace: shop
                  node: worker-2
                  pod: cart-5d9c
                  timestamp: 2026-11-20 08:14:03.120045 +0000 UTC

                """
        )
        #expect(
            try report.json() == """
                {
                  "attributes" : {
                    "namespace" : "shop",
                    "node" : "worker-2",
                    "pod" : "cart-5d9c",
                    "timestamp" : "2026-11-20 08:14:03.120045 +0000 UTC"
                  },
                  "handle" : "k8s-pod-network.7f31c0de55aa",
                  "ip" : "10.80.44.193"
                }

                """
        )
    }

    @Test func anOwnerWithoutHandleOrAttributes() async throws {
        let report = try await report(
            "10.80.44.193",
            attribute: .init(handleID: nil, alternateOwner: ["node": "b"])
        )
        #expect(
            report.text == """
                IP 10.80.44.193 is in use
                Handle ID: <none>
                No Active Owner attributes defined
                Alternate Owner Attributes:
                  node: b

                """
        )
        #expect(try report.json().contains(#""handle" : null"#))
    }

    @Test func addressesThatNobodyHas() async throws {
        let free = try await report("10.80.44.200", attribute: .init(handleID: "h"))
        #expect(free.text == "10.80.44.200 is not assigned\n")
        #expect(!free.isAssigned)

        let releasedAt = try #require(Timestamp("2026-11-20T08:14:03Z"))
        let cooling = try await report("10.80.44.193", attribute: .init(handleID: nil, releasedAt: releasedAt))
        #expect(cooling.text == "10.80.44.193 is not assigned; it has been cooling down since 2026-11-20T08:14:03Z\n")
        #expect(!cooling.isAssigned)
    }

    /// What `AddressReport` finds in a store with one block, whose second address has the attribute.
    private func report(_ address: String, attribute: Block.Attribute) async throws -> AddressReport {
        let cidr = try #require(CIDR("10.80.44.192/26"))
        var block = Block(cidr: cidr, affinity: nil, now: Timestamp(seconds: 0))
        let wasFree = block.assign(ordinal: 1, to: attribute)
        #expect(wasFree)
        let store = MemoryDatastore()
        _ = try await store.commit([.create(.block(cidr), block.json)])
        return try await AddressReport.read(try #require(IPAddress(address)), from: store)
    }
}
