import Glibc
import NetworkTypes
import TestSupport
import Testing

@testable import Netlink

@Suite(.enabled(if: isRoot))
struct LinkTests {
    let host: NetworkNamespace
    let pod: NetworkNamespace

    init() throws {
        host = try .create()
        pod = try .create()
    }

    private static let hostMAC = MACAddress(0xee, 0xee, 0xee, 0xee, 0xee, 0xee)
    private static let podMAC = MACAddress(0x02, 0, 0, 0, 0, 7)

    @Test func vethPairSpansTwoNamespacesInOneMessage() throws {
        let socket = try NetlinkSocket(in: host)
        let outcomes = try socket.exchange([
            .addVeth(
                VethEnd(name: "cali0123456789a", mac: Self.hostMAC, mtu: 1450, queues: 2),
                peer: VethEnd(name: "eth0", mac: Self.podMAC, mtu: 1400, queues: 3),
                in: pod
            ),
            NetlinkQuery<Link>.link(.name("cali0123456789a")).request,
        ])
        #expect(outcomes.count == 2)
        let hostEnd = try #require(try NetlinkQuery<Link>.link(.name("cali0123456789a")).element(in: outcomes[1]))
        #expect(hostEnd.mac == Self.hostMAC)
        #expect(hostEnd.mtu == 1450)
        #expect(hostEnd.kind == "veth")
        #expect(hostEnd.transmitQueues == 2)
        #expect(!hostEnd.isUp)
        #expect(hostEnd.peerNamespace != nil)

        let podEnd = try NetlinkSocket(in: pod).get(.link(.name("eth0")))
        #expect(podEnd.mac == Self.podMAC)
        #expect(podEnd.mtu == 1400)
        #expect(podEnd.receiveQueues == 3)
        #expect(podEnd.index == hostEnd.peerIndex)
        #expect(podEnd.peerIndex == hostEnd.index)
        let names = try socket.list(.links()).map(\.name)
        #expect(names.sorted() == ["cali0123456789a", "lo"])
    }

    @Test func takenNameAtEitherEndMakesNeither() throws {
        let socket = try NetlinkSocket(in: host)
        try NetlinkSocket(in: pod).send(.addLink(name: "eth0", kind: "bridge"))
        let error = #expect(throws: NetlinkError.self) {
            try socket.send(.addVeth(VethEnd(name: "cali1"), peer: VethEnd(name: "eth0"), in: pod))
        }
        #expect(error?.isRefusal(EEXIST) == true)
        #expect(try socket.list(.links()).map(\.name) == ["lo"])
    }

    @Test func changesAndDeletes() throws {
        let socket = try NetlinkSocket(in: host)
        try socket.send(.addLink(name: "br0", kind: "bridge"))
        let bridge = try socket.get(.link(.name("br0")))
        try socket.send([
            .addVeth(VethEnd(name: "a"), peer: VethEnd(name: "b")),
            .setLink(.name("a"), up: true, mac: Self.podMAC, mtu: 1300, master: bridge.index),
            .setLink(.index(bridge.index), up: true),
        ])
        let port = try #require(try socket.list(.links(master: bridge.index)).first)
        #expect(port.name == "a" && port.isUp && port.mtu == 1300 && port.mac == Self.podMAC)
        #expect(port.peerNamespace == nil)
        #expect(try socket.get(.link(.name("br0"))).isUp)
        try socket.send(.setLink(.name("a"), up: false))
        #expect(try !socket.get(.link(.name("a"))).isUp)
        try socket.send([.deleteLink(.name("b")), .deleteLink(.index(bridge.index))])
        #expect(try socket.list(.links()).map(\.name) == ["lo"])
    }

    @Test func errorsCarryTheKernelsTextAndTheAttribute() throws {
        let socket = try NetlinkSocket(in: host)
        try socket.send(.addVeth(VethEnd(name: "a"), peer: VethEnd(name: "b")))
        let tooLarge = #expect(throws: NetlinkError.self) { try socket.send(.setLink(.name("a"), mtu: 100_000)) }
        #expect(tooLarge?.cause == .refused(code: EINVAL))
        #expect(tooLarge?.kernelText?.contains("mtu") == true)
        #expect(tooLarge?.request == "set link a")

        let tooLong = #expect(throws: NetlinkError.self) {
            try socket.send(.addLink(name: "a-name-of-17-byte", kind: "bridge"))
        }
        #expect(tooLong?.attribute == "name")
        #expect("\(try #require(tooLong))".contains("[attribute name]"))

        let missing = #expect(throws: NetlinkError.self) { try socket.get(.link(.name("nothere"))) }
        #expect(missing?.isRefusal(ENODEV) == true)
        let hidden = #expect(throws: NetlinkError.self) { try socket.get(.link(.name("a\0b"))) }
        guard case .unencodable = hidden?.cause else {
            Issue.record("a name with a NUL was sent")
            return
        }
    }

    @Test func batchGoesOnBehindARefusal() throws {
        let socket = try NetlinkSocket(in: host)
        let outcomes = try socket.exchange(
            [.deleteLink(.name("none")), .addLink(name: "br1", kind: "bridge"), .deleteLink(.name("none"))]
        )
        #expect(outcomes.map { (try? $0.get()) != nil } == [false, true, false])
        #expect(try socket.get(.link(.name("br1"))).kind == "bridge")
    }

    @Test func hundredsOfRequestsAreSplitAndAllAcknowledged() throws {
        let socket = try NetlinkSocket(in: host)
        let requests = (0..<500).map { index in
            NetlinkRequest.addRoute(
                Route(to: IPAddress.v4(IPv4Address(bits: 0x0a00_0000 + UInt32(index))).hostPrefix, via: .blackhole)
            )
        }
        try socket.send([.setLink(.name("lo"), up: true)] + requests)
        #expect(try socket.list(.routes(RouteFilter(family: .ipv4))).count == 500)
    }

    @Test func buffersGrowToTheAnswer() throws {
        func openWithSmallBuffer() throws -> NetlinkSocket {
            let descriptor = try host.run { try NetlinkChannel.open(.route) }
            return NetlinkSocket(try NetlinkChannel(adopting: descriptor, bufferSize: 64))
        }
        try openWithSmallBuffer().send((0..<20).map { .addLink(name: "br\($0)", kind: "bridge") })
        #expect(try openWithSmallBuffer().get(.link(.name("br7"))).kind == "bridge")
        #expect(try openWithSmallBuffer().list(.links()).count == 21)
    }

    @Test func listsCanBePartOfABatch() throws {
        let socket = try NetlinkSocket(in: host)
        let outcomes = try socket.exchange([NetlinkQuery<Link>.links().request])
        let messages = try #require(try outcomes.first?.get())
        #expect(try messages.compactMap { try Link($0)?.name } == ["lo"])
    }

    @Test func notificationsArrive() throws {
        let monitor = try NetlinkSocket(in: host)
        try monitor.subscribe(to: .link)
        try NetlinkSocket(in: host).send(.addLink(name: "seen", kind: "bridge"))
        var names: [String] = []
        while !names.contains("seen") {
            let messages = try monitor.notifications(within: 5000)
            try #require(!messages.isEmpty)
            names += try messages.compactMap { try Link($0)?.name }
        }
    }
}
