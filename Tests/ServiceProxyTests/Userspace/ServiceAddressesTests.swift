import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

@Suite(.enabled(if: isRoot))
struct ServiceAddressesTests {
    private let namespace: NetworkNamespace
    private let socket: NetlinkSocket
    private let ours = address("10.96.0.10")
    private let theirs = address("198.51.100.1")

    init() throws {
        namespace = try NetworkNamespace.makeContainer()
        socket = try NetlinkSocket(in: namespace)
    }

    private func onLoopback(_ kernel: KernelVersion) throws -> ServiceAddresses {
        // No kernel knows the kind.
        try ServiceAddresses(interfaceName: "svc", in: namespace, kind: "no-such", kernel: kernel)
    }

    private func all() throws -> Set<IPAddress> { Set(try socket.list(.addresses()).map(\.address)) }

    /// A bridge, as not every kernel has dummy interfaces.
    @Test
    func anInterfaceThatSomebodyRemovesIsMadeAgain() throws {
        var addresses = try ServiceAddresses(interfaceName: "svc", in: namespace, kind: "bridge")
        #expect(addresses.place == "svc")
        let isTaken = try addresses.take(ours)
        #expect(isTaken)
        #expect(try addresses.present() == [ours] && addresses.isUp)
        try socket.send(.deleteLink(.name("svc")))
        #expect(try addresses.present() == [] && !addresses.isUp)
        try addresses.reopen()
        let repaired = try addresses.repair()
        #expect(repaired == 1)
        #expect(try addresses.present() == [ours] && addresses.isUp)
        try socket.send(.setLink(.name("svc"), up: false))
        #expect(!addresses.isUp)
        try addresses.reopen()
        #expect(addresses.isUp)
        try socket.send(.deleteLink(.name("svc")))
        try addresses.give(ours)
        #expect(addresses.wanted == [])
    }

    /// Whether the kernel keeps marks or not.
    @Test(arguments: [KernelVersion(major: 5, minor: 18), KernelVersion(major: 5, minor: 15)])
    func addressesOfOthersStayTheirs(kernel: KernelVersion) throws {
        var addresses = try onLoopback(kernel)
        try socket.send(.addAddress(InterfaceAddress(theirs.hostPrefix, on: 1)))
        let isTheirsTaken = try addresses.take(theirs)
        #expect(!isTheirsTaken)
        let isOursTaken = try addresses.take(ours)
        #expect(isOursTaken)
        #expect(addresses.wanted == [ours])
        #expect(try addresses.present() == [ours])
        let repaired = try addresses.repair()
        #expect(repaired == 0)
        try addresses.give(theirs)
        try addresses.give(ours)
        #expect(try all().contains(theirs))
        #expect(try !all().contains(ours))
    }

    @Test
    func anAddressThatIsGivenBackIsNotWaitedFor() throws {
        var addresses = try onLoopback(.oldest)
        let isTaken = try addresses.take(address("fd96::10"))
        #expect(isTaken)
        try addresses.give(address("fd96::10"))
        let areReachable = addresses.areReachable()
        #expect(areReachable)
    }
}
