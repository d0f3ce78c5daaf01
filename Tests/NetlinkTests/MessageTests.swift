import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import Netlink

struct MessageTests {
    private enum Sample: UInt16, NetlinkAttribute {
        case number = 1
        case text = 2
        case nest = 3
        case inner = 7
    }

    @Test func builderBytes() {
        var builder = MessageBuilder()
        builder.append(UInt8(9))
        builder.pad()
        builder.attribute(Sample.number, UInt32(0x0102_0304))
        builder.attribute(Sample.text, "ab")
        builder.nested(Sample.nest) { $0.attribute(Sample.inner, UInt8(5)) }
        builder.attribute(Sample.inner, IPAddress.v4(IPv4Address(10, 0, 0, 1)))
        #expect(
            builder.bytes == [
                9, 0, 0, 0,
                8, 0, 1, 0, 4, 3, 2, 1,
                7, 0, 2, 0, 0x61, 0x62, 0, 0,
                12, 0, 3, 0x80, 5, 0, 7, 0, 5, 0, 0, 0,
                8, 0, 7, 0, 10, 0, 0, 1,
            ]
        )
        #expect(builder.problem == nil)
    }

    @Test func whatCannotBeEncodedIsRemembered() {
        var long = MessageBuilder()
        long.attribute(Sample.text, bytes: [UInt8](repeating: 1, count: 65_532))
        #expect(long.problem != nil)
        var longest = MessageBuilder()
        longest.attribute(Sample.text, bytes: [UInt8](repeating: 1, count: 65_531))
        #expect(longest.problem == nil)
        var hidden = MessageBuilder()
        hidden.attribute(Sample.text, "a\0b")
        #expect(hidden.problem != nil)
    }

    @Test func attributesAreReadBack() throws {
        var builder = MessageBuilder()
        builder.attribute(Sample.number, UInt32(7))
        builder.attribute(Sample.number, UInt32(8))
        builder.attribute(Sample.text, "eth0")
        builder.nested(Sample.nest) { $0.attribute(Sample.inner, UInt16(5)) }
        let attributes = try Attributes(parsing: builder.bytes[...])
        #expect(try attributes.integer(Sample.number, as: UInt32.self) == 8)
        #expect(attributes.text(Sample.text) == "eth0")
        #expect(try attributes.nested(Sample.nest)?.integer(Sample.inner, as: UInt16.self) == 5)
        #expect(try attributes.integer(Sample.inner, as: UInt32.self) == nil)
        #expect(throws: MalformedMessage.self) { try attributes.integer(Sample.number, as: UInt64.self) }
        #expect(throws: MalformedMessage.self) {
            try attributes.address(Sample.text)
        }
    }

    @Test(
        arguments: [
            [3, 0, 1, 0], [0, 0, 1, 0], [9, 0, 1, 0, 1, 2, 3, 4], [255, 255, 1, 0],
            [8, 0, 1, 0, 1, 2, 3, 4, 5, 0, 1, 0],
        ] as [[UInt8]]
    )
    func malformedAttributes(_ bytes: [UInt8]) {
        #expect(throws: MalformedMessage.self) { try Attributes(parsing: bytes[...]) }
    }

    @Test(
        arguments: [
            [], [1, 2, 3], [15, 0, 0, 0] + [UInt8](repeating: 0, count: 12),
            [17, 0, 0, 0] + [UInt8](repeating: 0, count: 12), [255, 255, 255, 255] + [UInt8](repeating: 0, count: 12),
        ]
            as [[UInt8]]
    )
    func malformedMessages(_ bytes: [UInt8]) throws {
        var reader = MessageReader(bytes[...])
        if bytes.isEmpty {
            #expect(try reader.next() == nil)
        } else {
            #expect(throws: MalformedMessage.self) { _ = try reader.next() }
        }
    }

    @Test func refusalNamesTheNestedAttribute() throws {
        let request = NetlinkRequest(
            type: 16,
            headerLength: 4,
            attributes: Sample.self,
            summary: "try"
        ) { builder in
            builder.append(UInt32(0))
            builder.attribute(Sample.number, UInt32(1))
            builder.nested(Sample.nest) { $0.attribute(Sample.inner, UInt32(2)) }
        }
        // 16 bytes of message header, 4 of the fixed header, 8 of `number`, 4 of the nest's own header.
        #expect(request.describeAttribute(atOffset: 20) == "number")
        #expect(request.describeAttribute(atOffset: 28) == "nest")
        #expect(request.describeAttribute(atOffset: 32) == "nest.7")
        for offset in [-5, 0, 16, 40, 41, 1 << 40] {
            #expect(request.describeAttribute(atOffset: offset) == "at offset \(offset)")
        }
    }

    @Test func acknowledgementWithTextAndMissingAttribute() throws {
        var body = MessageBuilder()
        body.append(Int32(-EINVAL))
        body.append(bytes: [UInt8](repeating: 0, count: 16))
        body.attribute(UInt16(1)) { $0.append(bytes: Array("why\0".utf8)) }
        body.attribute(UInt16(5)) { $0.append(UInt32(2)) }
        let message = Message(type: 2, flags: 0x300, sequence: 1, portID: 1, body: body.bytes[...])
        let request = NetlinkRequest(type: 16, headerLength: 0, attributes: Sample.self, summary: "try") { _ in }
        let error = try #require(try Acknowledgement(message).error(for: request))
        #expect(
            error
                == NetlinkError(
                    request: "try",
                    cause: .refused(code: EINVAL),
                    kernelText: "why",
                    attribute: "text is missing"
                )
        )
        #expect("\(error)" == "try: Invalid argument (why) [attribute text is missing]")
    }

    /// Whatever the bytes are, readers give a value or an error.
    private func readEverything(_ bytes: [UInt8]) {
        var reader = MessageReader(bytes[...])
        while let message = try? reader.next() {
            _ = try? Acknowledgement(message)
            _ = try? Link(message)
            _ = try? InterfaceAddress(message)
            _ = try? Route(message)
            _ = try? Neighbour(message)
            _ = try? Rule(message)
            _ = try? NamespaceNumber(message)
        }
    }

    @Test func randomBytesNeverTrap() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                // Small numbers are more often valid lengths.
                Bool.random(using: &generator) ? UInt8.random(in: 0...40, using: &generator) : .random(in: 0...255)
            }
            if bytes.count >= 16 {
                bytes.replaceSubrange(0..<4, with: [UInt8(bytes.count), 0, 0, 0])
                bytes[5] = 0
                bytes[4] = [2, 3, 16, 20, 24, 28, 32, 88].randomElement() ?? 2
            }
            readEverything(bytes)
        }
    }

    @Test func damagedMessagesNeverTrap() throws {
        let requests: [NetlinkRequest] = [
            .addVeth(VethEnd(name: "cali0", mac: MACAddress(2, 0, 0, 0, 0, 1), mtu: 1400), peer: VethEnd(name: "eth0")),
            .addAddress(InterfaceAddress(try #require(CIDR("fd00::1/128")), on: 3, flags: .noDuplicateDetection)),
            .addRoute(
                Route(to: try #require(CIDR("10.0.0.0/8")), via: .gateway(.v4(.loopback), on: 2), metric: 4, mtu: 1400)
            ),
            .setNeighbour(.permanent(.v4(.loopback), at: MACAddress(2, 0, 0, 0, 0, 1), on: 2)),
            .addRule(Rule(family: .ipv4, priority: 1, source: CIDR("10.0.0.0/8"), action: .lookup(.main))),
        ]
        for request in requests {
            let intact = encoded(request)
            for _ in 0..<1_000 {
                var bytes = intact
                for _ in 0..<Int.random(in: 1...4) { bytes[.random(in: 4..<bytes.count)] = .random(in: 0...255) }
                readEverything(bytes)
                readEverything(Array(intact.prefix(.random(in: 0...intact.count))))
            }
        }
    }

    private func encoded(_ request: NetlinkRequest) -> [UInt8] {
        var message = MessageBuilder()
        message.append(UInt32(16 + request.body.bytes.count))
        message.append(request.type)
        message.append(request.flags)
        message.append(UInt64(0))
        return message.bytes + request.body.bytes
    }

    @Test func whatIsWrittenIsReadBack() throws {
        func message(_ request: NetlinkRequest) throws -> Message {
            var reader = MessageReader(encoded(request)[...])
            return try #require(try reader.next())
        }
        let prefix = try #require(CIDR("10.80.0.0/26"))
        let prefix6 = try #require(CIDR("fd00:80::/64"))
        let gateway = try #require(IPAddress("10.0.0.1"))
        let routes = [
            Route(to: prefix, via: .interface(3), scope: .link),
            Route(to: prefix, via: .gateway(gateway, on: 3, isOnLink: true), origin: .static, metric: 9, mtu: 1400),
            Route(to: prefix, via: .gateway(prefix6.address, on: 3)),
            Route(to: prefix, via: .blackhole, table: Route.Table(rawValue: 100)),
            Route(to: prefix6, via: .unreachable, table: Route.Table(rawValue: 100_000)),
            Route(to: prefix6, via: .gateway(prefix6.address, on: nil), preferredSource: prefix6.address),
        ]
        for route in routes { #expect(try Route(message(.addRoute(route))) == route) }
        let addresses = [
            InterfaceAddress(prefix, on: 7, scope: .host),
            InterfaceAddress(prefix6, on: 7, flags: [.noDuplicateDetection, .noPrefixRoute]),
        ]
        for address in addresses { #expect(try InterfaceAddress(message(.addAddress(address))) == address) }
        let neighbours: [Neighbour] = [
            .permanent(gateway, at: MACAddress(2, 0, 0, 0, 0, 1), on: 4), .proxy(prefix6.address, on: 4),
        ]
        for neighbour in neighbours { #expect(try Neighbour(message(.setNeighbour(neighbour))) == neighbour) }
        let rules = [
            Rule(family: .ipv4, priority: 5, source: prefix, action: .lookup(Route.Table(rawValue: 100_000))),
            Rule(family: .ipv6, priority: 6, destination: prefix6, isInverted: true, action: .prohibit),
            Rule(
                family: .ipv4,
                priority: 7,
                mark: 0x4000,
                markMask: 0x4000,
                incomingInterface: "a",
                outgoingInterface: "b",
                action: .blackhole
            ),
        ]
        for rule in rules { #expect(try Rule(message(.addRule(rule))) == rule) }
    }
}
