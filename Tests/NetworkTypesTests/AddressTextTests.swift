import NetworkTypes
import Testing

/// The tables are what Go's `netip.ParseAddr` and `Addr.String` do.
@Suite struct AddressTextTests {
    struct Accepted: Sendable {
        let text: String
        let printed: String
        init(_ text: String, _ printed: String? = nil) {
            self.text = text
            self.printed = printed ?? text
        }

        static let all: [Accepted] = [
            .init("0.0.0.0"), .init("10.80.0.1"), .init("255.255.255.255"), .init("192.140.255.0"),
            .init("::"), .init("::1"), .init("1::"), .init("1::2"), .init("fe80::1"),
            .init("0:0:0:0:0:0:0:0", "::"), .init("0000:0000:0000:0000:0000:0000:0000:0001", "::1"),
            .init("fd7a:115c:a1e0:ab12:4843:cd96:626b:430b"), .init("FD7A::AB", "fd7a::ab"),
            .init("::ffff:1.2.3.4"), .init("::ffff:c0a8:8cff", "::ffff:192.168.140.255"),
            .init("::fffe:c0a8:8cff"), .init("::1.2.3.4", "::102:304"),
            .init("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            .init("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), .init("1:2:3:4:5:6:7:8"),
            .init("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), .init("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            .init("1:2:3::5:6:7:8", "1:2:3:0:5:6:7:8"),
            // RFC 5952 4.2.2 and 4.2.3: one group is not shortened, the longest run is, the first of equal ones.
            .init("2001:db8:0:1:1:1:1:1"), .init("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            .init("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), .init("0:0:1:2:3:4:0:0", "::1:2:3:4:0:0"),
            .init("1:0:0:2:0:0:0:0", "1:0:0:2::"), .init("0:1:0:1:0:1:0:1"), .init("1:0:1:0:1:0:1:0"),
        ]
    }

    @Test(arguments: Accepted.all)
    func accepts(_ c: Accepted) throws {
        let address = try #require(IPAddress(c.text))
        #expect(address.description == c.printed)
        #expect(IPAddress(c.printed) == address)
        #expect(ZonedAddress(c.text)?.description == c.printed)
        switch address {
        case .v4(let v4):
            #expect(IPv4Address(c.text) == v4)
            #expect(IPv6Address(c.text) == nil)
        case .v6(let v6):
            #expect(IPv6Address(c.text) == v6)
            #expect(IPv4Address(c.text) == nil)
        }
    }

    static let refused = [
        "", "bad", "1234", "1a2b", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n", "1.2.3.4\0",
        // Fields of IPv4: missing, too many, too large, empty, leading zeros, hexadecimal, signs, other digits.
        "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.1000", "1.2..4", ".1.2.3", "1.2.3.", "...", "01.2.3.4", "1.2.3.04",
        "1.2.3.00", "1.2.3.000", "0x1.2.3.4", "1.2.3.-4", "+1.2.3.4", "1.2.3.٤", "1.2.3.4%eth0", "192.168.1.1/24",
        "4294967296.0.0.1", "99999999999999999999.1.1.1",
        // IPv6: too few or too many groups, a run that stands for nothing, two runs, digits, single colons at the ends.
        ":", ":::", "1:", ":1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8", "1::2::3", "1:::2", "12345::", "::12345", "::g", "fe80::1:", ":fe80::1", "::1 ", " ::1",
        // IPv4 inside: not last, too early, too late, malformed, leading zeros.
        "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7:8:1.2.3.4", "::1.2.3",
        "::ffff:1.2.3.04", "::ffff:1.2.3.256", "::ffff:1.2.3.4.5", "1:2:3:4:5:6::7:1.2.3.4", "::ffff:0x1.2.3.4",
        "::.1.2.3",
        // Zones: empty, on nothing.
        "::1%", "%eth0", "1%eth0", "%",
        "[::1]", "::1/128",
    ]

    @Test(arguments: refused)
    func refuses(_ text: String) {
        #expect(IPAddress(text) == nil)
        #expect(ZonedAddress(text) == nil)
        #expect(IPv4Address(text) == nil)
        #expect(IPv6Address(text) == nil)
    }

    @Test(arguments: [
        ("fe80::1%eth0", "fe80::1", "eth0"), ("fe80::1%1", "fe80::1", "1"), ("::ffff:1.2.3.4%z", "::ffff:1.2.3.4", "z"),
        ("fe80::%a%b", "fe80::", "a%b"), ("::1%eth.0:1", "::1", "eth.0:1"),
    ])
    func zone(_ text: String, _ address: String, _ zone: String) throws {
        let zoned = try #require(ZonedAddress(text))
        #expect(zoned.address.description == address)
        #expect(zoned.zone == zone)
        #expect(zoned.description == text)
        #expect(IPAddress(text) == nil, "only ZonedAddress takes a zone")
    }

    @Test func bytesAreInNetworkOrder() {
        #expect(IPAddress("10.80.0.1")?.bytes == [10, 80, 0, 1])
        #expect(IPAddress("102:304::f10")?.bytes == [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 16])
        #expect(IPAddress(bytes: [1, 2, 3]) == nil)
        #expect(IPAddress(bytes: []) == nil)
    }

    @Test func everyAddressSurvivesPrinting() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50_000 {
            let v4 = IPAddress.v4(IPv4Address(bits: random.next()))
            #expect(IPAddress(v4.description) == v4)
            #expect(IPAddress(bytes: v4.bytes) == v4)
            // Groups of zeros are what printing is about, so make many.
            let mask = (0..<4).reduce(UInt64(0)) { sum, group in
                sum | (Bool.random() ? 0xffff << (16 * UInt64(group)) : 0)
            }
            let v6 = IPAddress.v6(IPv6Address(high: random.next() & mask, low: random.next() & ~mask))
            #expect(IPAddress(v6.description) == v6)
            #expect(IPAddress(bytes: v6.bytes) == v6)
        }
    }

    @Test func garbageIsRefusedOrPrintsAsItself() {
        let alphabet = Array("0123456789abcdefgF:::...%/ -\u{e9}\0")
        for _ in 0..<100_000 {
            let text = String((0..<Int.random(in: 0...24)).map { _ in alphabet.randomElement()! })
            if let zoned = ZonedAddress(text) { #expect(ZonedAddress(zoned.description) == zoned) }
            if let cidr = CIDR(text) { #expect(CIDR(cidr.description) == cidr) }
            if let mac = MACAddress(text) { #expect(MACAddress(mac.description) == mac) }
        }
    }

    @Test func order() {
        let sorted = ["0.0.0.0", "9.255.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "1::", "ffff::"]
        #expect(sorted.shuffled().compactMap { IPAddress($0) }.sorted().map(\.description) == sorted)
    }

    @Test func advancing() throws {
        #expect(IPAddress("10.0.0.255")?.advanced(by: 1)?.description == "10.0.1.0")
        #expect(IPAddress("255.255.255.255")?.advanced(by: 0)?.description == "255.255.255.255")
        #expect(IPAddress("255.255.255.255")?.advanced(by: 1) == nil)
        #expect(IPAddress("0.0.0.0")?.advanced(by: 1 << 32) == nil)
        #expect(IPAddress("::ffff:ffff:ffff:ffff")?.advanced(by: 1)?.description == "0:0:0:1::")
        #expect(IPAddress("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")?.advanced(by: 1) == nil)
    }

    @Test func kinds() {
        #expect(IPAddress("127.3.2.1")?.isLoopback == true)
        #expect(IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("128.0.0.1")?.isLoopback == false)
        #expect(IPAddress("0.0.0.0")?.isUnspecified == true)
        #expect(IPAddress("::")?.isUnspecified == true)
        #expect(IPv6Address("fe80::1")?.isLinkLocal == true)
        #expect(IPv6Address("febf:ffff::")?.isLinkLocal == true)
        #expect(IPv6Address("fec0::")?.isLinkLocal == false)
        #expect(IPv6Address("::ffff:10.0.0.1")?.ipv4Mapped == IPv4Address(10, 0, 0, 1))
        #expect(IPv6Address("::10.0.0.1")?.ipv4Mapped == nil)
    }
}
