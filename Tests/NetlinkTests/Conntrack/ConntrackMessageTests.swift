import Glibc
import NetworkTypes
import Testing

@testable import Netlink

/// The bytes of ctnetlink, as linux/netfilter/nfnetlink_conntrack.h has them.
struct ConntrackMessageTests {
    private static let client = IPAddress("10.0.0.1")!
    private static let service = IPAddress("10.96.0.10")!
    private static let pod = IPAddress("10.9.1.2")!

    private static let entry = ConntrackEntry(
        original: ConntrackTuple(from: client, 40_000, to: service, 53, transport: 17),
        reply: ConntrackTuple(from: pod, 5353, to: client, 40_000, transport: 17),
        zone: 7,
        id: 0x0102_0304
    )

    /// `10.0.0.1:40000 -> 10.96.0.10:53` in UDP, as the content of a tuple attribute.
    private static let original: [UInt8] = [
        20, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 96, 0, 10,
        28, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 0x9c, 0x40, 0, 0, 6, 0, 3, 0, 0, 53, 0, 0,
    ]
    private static let reply: [UInt8] = [
        20, 0, 1, 0x80, 8, 0, 1, 0, 10, 9, 1, 2, 8, 0, 2, 0, 10, 0, 0, 1,
        28, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 0x14, 0xe9, 0, 0, 6, 0, 3, 0, 0x9c, 0x40, 0, 0,
    ]

    @Test func deleteIsOfOneEntry() {
        let request = NetlinkRequest.deleteConntrackEntry(Self.entry)
        #expect(request.type == 0x0102)
        #expect(request.flags == 0)
        #expect(
            request.body.bytes == [2, 0, 0, 0] + [52, 0, 1, 0x80] + Self.original
                + [6, 0, 18, 0, 0, 7, 0, 0] + [8, 0, 12, 0, 1, 2, 3, 4]
        )
        #expect(request.summary() == "delete conntrack entry 10.0.0.1:40000 -> 10.96.0.10:53")
    }

    @Test func aZoneOfOneDirectionIsPartOfTheTuple() {
        let tuple = ConntrackTuple(from: Self.client, 40_000, to: Self.service, 53, transport: 17, zone: 9)
        let entry = ConntrackEntry(original: tuple, reply: Self.entry.reply)
        #expect(
            NetlinkRequest.deleteConntrackEntry(entry).body.bytes == [2, 0, 0, 0] + [60, 0, 1, 0x80] + Self.original
                + [6, 0, 3, 0, 0, 9, 0, 0]
        )
    }

    @Test func deleteInIPv6() throws {
        let (client, service) = (try #require(IPAddress("fd00::1")), try #require(IPAddress("fd96::a")))
        let tuple = ConntrackTuple(from: client, 1, to: service, 2, transport: 17)
        let request = NetlinkRequest.deleteConntrackEntry(ConntrackEntry(original: tuple, reply: tuple))
        #expect(
            request.body.bytes == [10, 0, 0, 0, 76, 0, 1, 0x80]
                + [44, 0, 1, 0x80, 20, 0, 3, 0] + client.bytes + [20, 0, 4, 0] + service.bytes
                + [28, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 0, 1, 0, 0, 6, 0, 3, 0, 0, 2, 0, 0]
        )
        #expect(request.summary() == "delete conntrack entry [fd00::1]:1 -> [fd96::a]:2")
    }

    @Test func listIsFilteredByTheKernelWhereItCan() {
        let filtered = NetlinkQuery.conntrackEntries(.ipv4, .udp, isFilteredByKernel: true).request
        #expect(filtered.type == 0x0101)
        #expect(filtered.flags == 0x300)
        #expect(
            filtered.body.bytes == [2, 0, 0, 0]
                // CTA_TUPLE_ORIG { CTA_TUPLE_PROTO { CTA_PROTO_NUM: UDP } }
                + [16, 0, 1, 0x80, 12, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0]
                // CTA_FILTER { CTA_FILTER_ORIG_FLAGS: CTA_PROTO_NUM }
                + [12, 0, 25, 0x80, 8, 0, 1, 0, 8, 0, 0, 0]
        )
        let plain = NetlinkQuery.conntrackEntries(.ipv6, .udp, isFilteredByKernel: false).request
        #expect(plain.body.bytes == [10, 0, 0, 0])
    }

    private func message(_ attributes: [UInt8], type: UInt16 = 0x0100) -> Message {
        Message(type: type, flags: 2, sequence: 1, portID: 1, body: ([2, 0, 0, 0] + attributes)[...])
    }

    @Test func entriesAreRead() throws {
        let bytes =
            [52, 0, 1, 0x80] + Self.original + [52, 0, 2, 0x80] + Self.reply
            // CTA_STATUS and CTA_TIMEOUT, which are passed over.
            + [8, 0, 3, 0, 0, 0, 1, 0x8e, 8, 0, 7, 0, 0, 0, 0, 30]
            + [6, 0, 18, 0, 0, 7, 0, 0] + [8, 0, 12, 0, 1, 2, 3, 4]
        #expect(try ConntrackEntry(message(bytes)) == Self.entry)
        #expect(Self.entry.isTranslated)
        #expect(try ConntrackEntry(message(bytes, type: 0x0102)) == nil)
        let query = NetlinkQuery.conntrackEntries(.ipv4, .udp, isFilteredByKernel: false)
        #expect(try query.decode(message(bytes)) == Self.entry)
        let tcp = NetlinkQuery.conntrackEntries(.ipv4, .tcp, isFilteredByKernel: false)
        #expect(try tcp.decode(message(bytes)) == nil)
    }

    /// ICMP has no ports; a tuple without an end, or with ends of two families, is none.
    @Test func whatHasNoPortsIsNoEntry() throws {
        var withoutPorts = Self.original
        withoutPorts.replaceSubrange(20..., with: [12, 0, 2, 0x80, 5, 0, 1, 0, 1, 0, 0, 0])
        #expect(
            try ConntrackEntry(
                message([36, 0, 1, 0x80] + withoutPorts + [52, 0, 2, 0x80] + Self.reply)
            ) == nil
        )
        #expect(try ConntrackEntry(message([52, 0, 1, 0x80] + Self.original)) == nil)
        #expect(try ConntrackEntry(message([])) == nil)
    }

    @Test func damagedEntriesAreErrorsNotTraps() {
        let intact = [52, 0, 1, 0x80] + Self.original + [52, 0, 2, 0x80] + Self.reply + [6, 0, 18, 0, 0, 7, 0, 0]
        #expect(throws: MalformedMessage.self) { try ConntrackEntry(message([9, 0, 1, 0x80, 1, 1, 1, 1])) }
        #expect(throws: MalformedMessage.self) { try ConntrackEntry(message([5, 0, 18, 0, 1, 0, 0, 0])) }
        for _ in 0..<5_000 {
            var bytes = intact
            for _ in 0..<Int.random(in: 1...6) { bytes[.random(in: 0..<bytes.count)] = .random(in: 0...60) }
            _ = try? ConntrackEntry(message(bytes))
            _ = try? ConntrackEntry(message(Array(intact.prefix(.random(in: 0...intact.count)))))
        }
    }
}
