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
            report.text() == """
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
            report.json() == """
                {
                  "ip": "10.80.44.193",
                  "handle": "k8s-pod-network.7f31c0de55aa",
                  "attributes": {
                    "namespace": "shop",
                    "node": "worker-2",
                    "pod": "cart-5d9c",
                    "timestamp": "2026-11-20 08:14:03.120045 +0000 UTC"
                  },
                  "state": "assigned",
                  "pool": "default",
                  "block": "10.80.44.192/26",
                  "affinity": null
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
            report.text() == """
                IP 10.80.44.193 is in use
                Handle ID: <none>
                No Active Owner attributes defined
                Alternate Owner Attributes:
                  node: b

                """
        )
        #expect(report.json().contains(#""handle": null"#))
    }

    @Test func addressesThatNobodyHas() async throws {
        let free = try await report("10.80.44.200", attribute: .init(handleID: "h"))
        #expect(free.text() == "10.80.44.200 is not assigned\n")
        #expect(!free.isAssigned)

        let releasedAt = try #require(Timestamp("2026-11-20T08:14:03Z"))
        let cooling = try await report("10.80.44.193", attribute: .init(handleID: nil, releasedAt: releasedAt))
        #expect(cooling.text() == "10.80.44.193 is not assigned; it has been cooling down since 2026-11-20T08:14:03Z\n")
        #expect(!cooling.isAssigned)
        // R9: what has cooled down is free, though nobody has written the block since.
        let earlier = try #require(Timestamp("2026-11-20T08:13:02Z"))
        let cooled = try await report("10.80.44.193", attribute: .init(handleID: nil, releasedAt: earlier))
        #expect(cooled.text() == "10.80.44.193 is not assigned\n")
    }

    /// calicoctl says of an address whose pool is disabled or gone that it is not assigned.
    @Test func addressesOutsideOfEnabledPools() async throws {
        var disabled = IPPool(name: "old", spec: .init(cidr: try #require(CIDR("10.80.0.0/16"))))
        disabled.spec.isDisabled = true
        let held = try await report("10.80.44.193", attribute: .init(handleID: "h"), in: disabled)
        #expect(
            held.text() == """
                IP 10.80.44.193 is in use
                Handle ID: h
                No Active Owner attributes defined
                IP Pool: old, which is disabled

                """
        )
        let orphan = try await report("10.80.44.193", attribute: .init(handleID: "h"), in: nil)
        #expect(orphan.text().hasSuffix("IP Pool: <none>, so that its block is an orphan\n"))
        #expect(orphan.json().contains("\"state\": \"assigned\",\n  \"pool\": null"))
        // A pool that was made anew with other blocks than the one that is there.
        let anew = IPPool(name: "new", spec: .init(cidr: try #require(CIDR("10.80.0.0/16")), blockSize: 28))
        let other = try await report("10.80.44.193", attribute: .init(handleID: "h"), in: anew)
        #expect(other.isAssigned && other.block == CIDR("10.80.44.192/26"))
        #expect(
            other.text(.wide).hasSuffix("IP Pool: new\nBlock: 10.80.44.192/26\nBlock Owner: <none>\n"),
            "\(other.text(.wide))"
        )
        #expect(
            other.csv() == """
                IP,STATE,HANDLE,NODE,NAMESPACE,POD,POOL,BLOCK,BLOCK OWNER
                10.80.44.193,assigned,h,,,,new,10.80.44.192/26,

                """
        )
    }

    /// What `AddressReport` finds in a store with one block, whose second address has the attribute.
    private func report(_ address: String, attribute: Block.Attribute) async throws -> AddressReport {
        let pool = IPPool(name: "default", spec: .init(cidr: try #require(CIDR("10.80.0.0/16"))))
        return try await report(address, attribute: attribute, in: pool)
    }

    private func report(
        _ address: String,
        attribute: Block.Attribute,
        in pool: IPPool?
    ) async throws -> AddressReport {
        let cidr = try #require(CIDR("10.80.44.192/26"))
        var block = Block(cidr: cidr, affinity: nil, now: Timestamp(seconds: 0))
        let wasFree = block.assign(ordinal: 1, to: attribute)
        #expect(wasFree)
        let store = MemoryDatastore()
        _ = try await store.commit([.create(.block(cidr), block.json)])
        if let pool { _ = try await store.commit([.create(pool.recordKey, try pool.json())]) }
        var settings = IPAMConfiguration()
        settings.ipCooldownSeconds = 60
        _ = try await store.commit([.create(IPAMConfiguration.recordKey, try settings.json())])
        let now = try #require(Timestamp("2026-11-20T08:14:03Z"))
        return try await AddressReport.read(try #require(IPAddress(address)), from: store, now: now)
    }
}
