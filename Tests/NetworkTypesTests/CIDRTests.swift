import NetworkTypes
import Testing

@Suite struct CIDRTests {
    /// What Go's `netip.ParsePrefix` accepts.
    @Test(arguments: [
        "0.0.0.0/0", "10.80.0.0/16", "10.80.1.2/16", "1.2.3.4/32", "::/0", "fd00::/64", "fd00::1/65", "::1/128",
        "::ffff:1.2.3.4/120",
    ])
    func accepts(_ text: String) {
        #expect(CIDR(text)?.description == text)
    }

    @Test(arguments: [
        "", "/", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
        "10.0.0.0/00",
        "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0.0/0x8", "10.0.0/8", "::/129", "::/1000", "::/99999999999999999999",
        "fe80::1%eth0/64",
        "::1/12a", "10.0.0.0/٨",
    ])
    func refuses(_ text: String) {
        #expect(CIDR(text) == nil)
    }

    @Test func prefixLengthIsChecked() throws {
        let v4 = try #require(IPAddress("10.0.0.0"))
        #expect(CIDR(v4, prefixLength: -1) == nil)
        #expect(CIDR(v4, prefixLength: 33) == nil)
        #expect(CIDR(v4, prefixLength: 32) == v4.hostPrefix)
    }

    struct Edges: Sendable {
        let cidr: String
        let masked: String
        let last: String
        let count: Double
    }

    @Test(arguments: [
        Edges(cidr: "10.1.2.3/0", masked: "0.0.0.0/0", last: "255.255.255.255", count: 4_294_967_296),
        Edges(cidr: "10.1.2.3/1", masked: "0.0.0.0/1", last: "127.255.255.255", count: 2_147_483_648),
        Edges(cidr: "10.1.2.3/26", masked: "10.1.2.0/26", last: "10.1.2.63", count: 64),
        Edges(cidr: "10.1.2.3/31", masked: "10.1.2.2/31", last: "10.1.2.3", count: 2),
        Edges(cidr: "10.1.2.3/32", masked: "10.1.2.3/32", last: "10.1.2.3", count: 1),
        Edges(cidr: "abcd::1/0", masked: "::/0", last: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", count: 0x1p128),
        Edges(cidr: "fd00::1:2:3:4/63", masked: "fd00::/63", last: "fd00::1:ffff:ffff:ffff:ffff", count: 0x1p65),
        Edges(cidr: "fd00::1:2:3:4/64", masked: "fd00::/64", last: "fd00::ffff:ffff:ffff:ffff", count: 0x1p64),
        Edges(
            cidr: "fd00::8001:2:3:4/65",
            masked: "fd00::8000:0:0:0/65",
            last: "fd00::ffff:ffff:ffff:ffff",
            count: 0x1p63
        ),
        Edges(cidr: "fd00::1:2:3:4/122", masked: "fd00::1:2:3:0/122", last: "fd00::1:2:3:3f", count: 64),
        Edges(cidr: "fd00::1/128", masked: "fd00::1/128", last: "fd00::1", count: 1),
    ])
    func edges(_ c: Edges) throws {
        let cidr = try #require(CIDR(c.cidr))
        #expect(cidr.masked.description == c.masked)
        #expect(cidr.masked.isMasked)
        #expect(cidr.isMasked == (c.cidr == c.masked))
        #expect(cidr.lastAddress.description == c.last)
        #expect(cidr.addressCount == c.count)
        #expect(cidr.contains(cidr.address))
        #expect(cidr.contains(cidr.masked.address))
        #expect(cidr.contains(cidr.lastAddress))
        if let beyond = cidr.lastAddress.advanced(by: 1) { #expect(!cidr.contains(beyond)) }
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.1.0.0/16", true, false), ("10.0.0.0/8", "10.0.0.0/8", true, true),
        ("10.0.0.0/9", "10.128.0.0/9", false, false), ("0.0.0.0/0", "1.2.3.4/32", true, false),
        ("::/0", "1.2.3.4/32", false, false), ("0.0.0.0/0", "::ffff:1.2.3.4/128", false, false),
        ("fd00::/64", "fd00::1/65", true, false), ("fd00::/65", "fd00::8000:0:0:0/65", false, false),
        ("1.2.3.4/32", "1.2.3.4/32", true, true), ("1.2.3.4/32", "1.2.3.5/32", false, false),
    ])
    func containment(_ outer: String, _ inner: String, _ contains: Bool, _ containedBy: Bool) throws {
        let (outer, inner) = (try #require(CIDR(outer)), try #require(CIDR(inner)))
        #expect(outer.contains(inner) == contains)
        #expect(inner.contains(outer) == containedBy)
        #expect(outer.overlaps(inner) == (contains || containedBy))
        #expect(inner.overlaps(outer) == (contains || containedBy))
    }

    @Test func randomPrefixesKeepTheirBounds() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let address: IPAddress =
                Bool.random()
                ? .v4(IPv4Address(bits: random.next())) : .v6(IPv6Address(high: random.next(), low: random.next()))
            let cidr = try #require(CIDR(address, prefixLength: Int.random(in: 0...address.family.addressBits)))
            #expect(cidr.masked.address <= address && address <= cidr.lastAddress)
            #expect(cidr.masked.lastAddress == cidr.lastAddress)
            #expect(CIDR(cidr.description) == cidr)
        }
    }
}
