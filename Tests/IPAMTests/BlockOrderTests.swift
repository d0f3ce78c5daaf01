import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct BlockOrderTests {
    private func order(_ cidr: String, _ size: Int, host: String = "node-a", seed: UInt64 = 0) -> BlockOrder {
        BlockOrder(pool: IPPool(name: "p", spec: .init(cidr: CIDR(cidr)!, blockSize: size)), host: host, seed: seed)
    }

    // http://www.isthe.com/chongo/src/fnv/test_fnv.c
    @Test(arguments: [("", 0x811c_9dc5), ("a", 0x050c_5d7e), ("foobar", 0x31f0_b262)] as [(String, UInt32)])
    func fnv1(_ text: String, _ expected: UInt32) {
        #expect(BlockOrder.fnv1(text.utf8) == expected)
    }

    @Test(arguments: [("10.0.0.0/24", 26), ("10.0.0.0/26", 26), ("10.0.0.0/28", 32), ("fd00::/112", 122)])
    func everyBlockComesOnce(_ cidr: String, _ size: Int) {
        let blocks = Array(order(cidr, size))
        #expect(blocks.count == 1 << (size - CIDR(cidr)!.prefixLength))
        #expect(Set(blocks).count == blocks.count)
        #expect(blocks.allSatisfy { CIDR(cidr)!.contains($0) && $0.isMasked && $0.prefixLength == size })
        #expect(order(cidr, size).sorted(blocks.shuffled()) == blocks)
        // Once around: one step back, at most.
        #expect(zip(blocks, blocks.dropFirst()).count { $0 > $1 } <= 1)
    }

    @Test func aHostAlwaysStartsAtTheSamePlaceAndHostsApart() {
        #expect(Array(order("10.0.0.0/16", 26)) == Array(order("10.0.0.0/16", 26, seed: 7)))
        let starts = (0..<100).map { order("10.0.0.0/8", 26, host: "worker-\($0)").first { _ in true }! }
        #expect(Set(starts).count > 97)
    }

    @Test func singleAddressesStartAtTheSeed() {
        let starts = (0..<20).map { order("10.0.0.0/16", 32, seed: $0).first { _ in true }! }
        #expect(Set(starts).count > 18)
    }

    @Test func hugePoolsAreWalkedLazily() {
        #expect(Array(order("fd00::/8", 122).prefix(3)).count == 3)
        #expect(Set(order("fd00::/8", 122).prefix(1000)).count == 1000)
    }

    /// Stepping over what is reserved leaves the order of the others as it is.
    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func reservedBlocksAreLeftOut(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pool = IPPool(name: "p", spec: .init(cidr: CIDR("10.0.0.0/24")!, blockSize: 28))
        let prefixes = (0..<4).map { _ in
            let address = IPAddress("10.0.0.0")!.advanced(by: UInt64.random(in: 0..<256, using: &random))!
            return CIDR(address, prefixLength: Int.random(in: 25...32, using: &random))!.masked
        }
        let reserved = ReservedRanges(prefixes)
        let all = Array(BlockOrder(pool: pool, host: "node-\(seed)", seed: 0))
        let left = Array(BlockOrder(pool: pool, host: "node-\(seed)", seed: 0, reserved: reserved))
        #expect(left == all.filter { !reserved.covers($0) })
    }

    /// However many blocks that is: half of this pool are 2^73, from wherever the host starts.
    @Test(arguments: ["fd00::/49", "fd00:0:0:8000::/49", "fd00::/47", "fd00::/8"])
    func aLargeReservationIsSteppedOverAtOnce(_ reservation: String) {
        let pool = IPPool(name: "p", spec: .init(cidr: CIDR("fd00::/48")!, blockSize: 122))
        let reserved = ReservedRanges([CIDR(reservation)!])
        for host in 0..<20 {
            let first = BlockOrder(pool: pool, host: "node-\(host)", seed: 0, reserved: reserved).first { _ in true }
            #expect((first == nil) == reserved.covers(pool.cidr))
            if let first { #expect(pool.cidr.contains(first) && !reserved.covers(first)) }
        }
    }
}
