import Glibc
import TestSupport
import Testing

@testable import Netlink

@Suite(.enabled(if: isRoot))
struct LinkRemovalTests {
    let host: NetworkNamespace
    let pod: NetworkNamespace

    init() throws {
        host = try .create()
        pod = try .create()
    }

    /// Whether a socket's namespace has no interface of that name.
    private func isGone(_ name: String, _ socket: NetlinkSocket) throws -> Bool {
        try socket.linkIfPresent(.name(name)) == nil
    }

    @Test func bothEndsAndTheirNamesAreFreeAtOnce() throws {
        let (socket, podSocket) = (try NetlinkSocket(in: host), try NetlinkSocket(in: pod))
        for round in 0..<10 {
            try socket.send([
                .addVeth(VethEnd(name: "cali1"), peer: VethEnd(name: "eth0"), in: pod),
                .setLink(.name("cali1"), up: true),
            ])
            let index = try socket.get(.link(.name("cali1"))).index
            try host.run { try NetlinkSocket.removeLink(round % 2 == 0 ? .index(index) : .name("cali1")) }
            #expect(try isGone("cali1", socket) && isGone("eth0", podSocket))
        }
    }

    @Test func newsOfABridgeThatItLeavesIsNotTakenForItsEnd() throws {
        let socket = try NetlinkSocket(in: host)
        try socket.send([.addLink(name: "br0", kind: "bridge"), .setLink(.name("br0"), up: true)])
        let bridge = try socket.get(.link(.name("br0"))).index
        for _ in 0..<10 {
            try socket.send([
                .addVeth(VethEnd(name: "a"), peer: VethEnd(name: "b")),
                .setLink(.name("a"), up: true, master: bridge),
            ])
            try host.run { try NetlinkSocket.removeLink(.name("a")) }
            #expect(try isGone("a", socket) && isGone("b", socket))
        }
    }

    @Test func refusalsAreThrown() throws {
        let missing = #expect(throws: NetlinkError.self) {
            try host.run { try NetlinkSocket.removeLink(.name("none")) }
        }
        #expect(missing?.isRefusal(ENODEV) == true)
        let hardware = #expect(throws: NetlinkError.self) {
            try host.run { try NetlinkSocket.removeLink(.name("lo")) }
        }
        #expect(hardware?.isRefusal(EOPNOTSUPP) == true)
    }

    /// What is left running must not keep a runtime waiting for the end of our output, nor keep a lock of ours.
    @Test func whatWaitsForTheKernelHoldsNothingOfTheCaller() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        for end in ends { #expect(fcntl(end, F_SETFD, FD_CLOEXEC) == 0) }
        defer { close(ends[0]) }
        let socket = try NetlinkSocket(in: host)
        try socket.send(.addVeth(VethEnd(name: "a"), peer: VethEnd(name: "b")))
        try host.run { try NetlinkSocket.removeLink(.name("a")) }
        close(ends[1])
        // The end of the stream is there already: nobody else has the pipe open.
        #expect(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == 0)
    }
}
