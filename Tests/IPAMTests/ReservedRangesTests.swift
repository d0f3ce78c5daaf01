import NetworkTypes
import Testing

@testable import IPAM

@Suite struct ReservedRangesTests {
    static let reserved = ReservedRanges(
        ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.32/27", "10.0.1.7/32", "192.0.2.0/24", "fd00::/64", "255.255.255.0/24"]
            .map { CIDR($0)! }
    )

    @Test(arguments: [
        ("10.0.0.0", true), ("10.0.0.127", true), ("10.0.0.128", false), ("10.0.1.6", false), ("10.0.1.7", true),
        ("10.0.1.8", false), ("9.255.255.255", false), ("255.255.255.255", true), ("fd00::ffff", true),
        ("fd00:0:0:1::", false), ("::10.0.0.0", false),
    ])
    func addresses(_ text: String, _ expected: Bool) {
        #expect(Self.reserved.contains(IPAddress(text)!) == expected)
    }

    @Test(
        arguments: [
            ("10.0.0.0/25", true, true, 128), ("10.0.0.0/24", true, false, 128), ("10.0.0.128/26", false, false, 0),
            ("10.0.1.0/26", true, false, 1), ("0.0.0.0/0", true, false, 128 + 1 + 256 + 256),
            ("fd00::/122", true, true, 64),
            ("fd00::/48", true, false, 1 << 64), ("10.0.0.64/26", true, true, 64),
        ] as [(String, Bool, Bool, UInt128)]
    )
    func prefixes(_ text: String, _ intersects: Bool, _ covers: Bool, _ count: UInt128) {
        let prefix = CIDR(text)!
        #expect(Self.reserved.intersects(prefix) == intersects)
        #expect(Self.reserved.covers(prefix) == covers)
        #expect(Self.reserved.count(in: prefix) == count)
    }

    @Test func everythingCanBeReserved() {
        let all = ReservedRanges([CIDR("0.0.0.0/0")!, CIDR("::/0")!])
        #expect(all.count(in: CIDR("0.0.0.0/0")!) == 1 << 32)
        #expect(all.count(in: CIDR("::/0")!) == .max)
        #expect(all.covers(CIDR("::/0")!))
    }
}
