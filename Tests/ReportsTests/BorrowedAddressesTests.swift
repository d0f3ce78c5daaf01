import ClusterClient
import IPAM
import KubernetesAPI
import NetworkTypes
import Testing

@testable import Reports

@Suite struct BorrowedAddressesTests {
    /// The table of `reference/calico.md` 7.2 (d).
    @Test func borrowersOfOwnedAndOfOwnerlessBlocks() throws {
        let pod = Block.Attribute(
            handleID: "a",
            secondary: ["node": "worker-7", "namespace": "shop", "pod": "cart-5d9c"]
        )
        let tunnel = Block.Attribute(handleID: "b", secondary: ["node": "worker-2", "type": "vxlanTunnelAddress"])
        let machine = Block.Attribute(
            handleID: "d",
            secondary: ["node": "worker-7", "namespace": "shop", "pod": "virt-launcher-db", "vmi-name": "db"]
        )
        let own = Block.Attribute(handleID: "c", secondary: ["node": "worker-2", "pod": "p", "namespace": "n"])
        let cooling = Block.Attribute(handleID: nil, releasedAt: Timestamp(seconds: 0))
        let borrowed = BorrowedAddresses([
            try block("10.80.44.192/26", nil, [1: tunnel]),
            try block("10.80.12.0/26", .host("worker-2"), [8: own, 9: pod, 10: cooling, 11: machine]),
        ])
        #expect(
            borrowed.table() == """
                +--------------+----------------+-----------------+-------------+--------------------+----------------+
                | IP           | BORROWING-NODE | BLOCK           | BLOCK OWNER | TYPE               | ALLOCATED-TO   |
                +--------------+----------------+-----------------+-------------+--------------------+----------------+
                | 10.80.12.9   | worker-7       | 10.80.12.0/26   | worker-2    | pod                | shop/cart-5d9c |
                | 10.80.12.11  | worker-7       | 10.80.12.0/26   | worker-2    | vmi                | shop/db        |
                | 10.80.44.193 | worker-2       | 10.80.44.192/26 |             | vxlanTunnelAddress |                |
                +--------------+----------------+-----------------+-------------+--------------------+----------------+

                """
        )
        #expect(borrowed.json().contains(#""blockOwner": null"#))
    }

    @Test func allocationsThatDoNotSayWhere() throws {
        let borrowed = BorrowedAddresses([try block("10.80.12.0/26", nil, [3: .init(handleID: "a")])])
        #expect(
            borrowed.table().hasSuffix(
                "+\n\nNote: found 1 IP allocations without an explicit node association. "
                    + "Unable to determine if they are borrowed.\n"
            )
        )
    }

    private func block(
        _ text: String,
        _ affinity: BlockOwner?,
        _ attributes: [Int: Block.Attribute]
    ) throws -> Block {
        var block = Block(cidr: try #require(CIDR(text)), affinity: affinity, now: Timestamp(seconds: 0))
        for (ordinal, attribute) in attributes {
            let wasFree = block.assign(ordinal: ordinal, to: attribute)
            #expect(wasFree)
        }
        return block
    }
}
