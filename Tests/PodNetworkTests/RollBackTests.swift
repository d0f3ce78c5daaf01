import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

@Suite(.enabled(if: isRoot))
struct RollBackTests {
    let node: PodFixture

    init() throws {
        node = try PodFixture()
    }

    private static let injected = PodNetworkError.system("injected")

    /// What ``PodNetwork/attach(_:)`` does, with an error thrown before a step.
    private func attach(_ pod: PodFixture.Pod, failingBefore step: PodAttachment.Step, rollsBack: Bool) throws {
        try node.host.run {
            var attachment = try PodAttachment(pod.request)
            do throws(PodNetworkError) {
                _ = try attachment.run { (next) throws(PodNetworkError) in
                    if next == step { throw Self.injected }
                }
            } catch {
                throw rollsBack ? attachment.rollBack(after: error) : error
            }
        }
    }

    @Test(arguments: PodAttachment.Step.allCases)
    func failureBeforeEachStepLeavesNothing(_ step: PodAttachment.Step) throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let before = try node.snapshot(pod)
        #expect(throws: Self.injected) { try attach(pod, failingBefore: step, rollsBack: true) }
        #expect(try node.snapshot(pod) == before)
    }

    @Test(arguments: PodAttachment.Step.allCases)
    func whatAKilledAttachLeftIsReplaced(_ step: PodAttachment.Step) throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        #expect(throws: Self.injected) { try attach(pod, failingBefore: step, rollsBack: false) }
        try node.attach(pod)
        #expect(try node.differences(pod) == [])
    }

    @Test(arguments: PodAttachment.Step.allCases)
    func whatAKilledAttachLeftIsRemovedByDetach(_ step: PodAttachment.Step) throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let before = try node.snapshot(pod)
        #expect(throws: Self.injected) { try attach(pod, failingBefore: step, rollsBack: false) }
        try node.detach(pod)
        #expect(try node.snapshot(pod) == before)
    }

    /// Routes already in the pod that make the kernel refuse one of ours, in the last step.
    @Test(arguments: ["0.0.0.0/0", "::/0", "169.254.1.1/32"])
    func conflictInThePodLeavesNothing(_ text: String) throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let socket = try NetlinkSocket(in: pod.namespace)
        let loopback = try socket.get(.link(.name("lo")))
        let isIPv4 = try text.cidr.family == .ipv4
        try socket.send(
            .addRoute(to: text.cidr, via: .interface(loopback.index), scope: isIPv4 ? .link : .universe)
        )
        let before = try node.snapshot(pod)
        let error = #expect(throws: PodNetworkError.self) { try node.attach(pod) }
        guard case .kernel(let cause) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(cause.isRefusal(EEXIST) && cause.request.contains(text))
        #expect(try node.snapshot(pod) == before)
    }

    @Test func routeConflictNamesTheInterfaceAndLeavesNothing() throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let socket = try NetlinkSocket(in: node.host)
        try socket.send([.addLink(name: "br0", kind: "bridge"), .setLink(.name("br0"), up: true)])
        let bridge = try socket.get(.link(.name("br0")))
        for address in ["10.80.0.1", "fd00:80::1"] {
            let route = Route(to: try address.address.hostPrefix, via: .interface(bridge.index), scope: .link)
            try socket.send(.addRoute(route))
            let before = try node.snapshot(pod)
            #expect(
                throws: PodNetworkError.routeConflict(destination: try address.address.hostPrefix, interface: "br0")
            ) { try node.attach(pod) }
            #expect(try node.snapshot(pod) == before)
            try socket.send(.deleteRoute(route))
        }
    }

    @Test func routeOfALivingPodIsNotTaken() throws {
        let living = try node.pod("web-0", "10.80.0.1")
        try node.attach(living)
        let pod = try node.pod("web-1", "10.80.0.1")
        let before = try node.snapshot(pod)
        #expect(
            throws: PodNetworkError.routeConflict(
                destination: try "10.80.0.1/32".cidr,
                interface: living.request.hostInterfaceName
            )
        ) { try node.attach(pod) }
        #expect(try node.snapshot(pod) == before)
        #expect(try node.differences(living) == [])
    }

    @Test(arguments: ["10.80.0.1", "fd00:80::1"])
    func staleRouteIsHealed(_ text: String) throws {
        let stale = try node.pod("gone", text)
        try node.attach(stale)
        let eth0 = try NetlinkSocket(in: stale.namespace).get(.link(.name("eth0")))
        try NetlinkSocket(in: stale.namespace).send(
            .deleteAddress(InterfaceAddress(try text.address.hostPrefix, on: eth0.index))
        )
        let pod = try node.pod("web-0", text)
        try node.attach(pod)
        #expect(try node.differences(pod) == [])
        let routes = try NetlinkSocket(in: node.host)
            .list(.routes(RouteFilter(destination: try text.address.hostPrefix)))
        #expect(routes.count == 1)
    }

    @Test func dualStackGetsTheSecondRouteWhenTheFirstIsThereAlready() throws {
        let stale = try node.pod("gone", "10.80.0.1")
        try node.attach(stale)
        try NetlinkSocket(in: stale.namespace).send(.setLink(.name("eth0"), up: false))
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        try node.attach(pod)
        #expect(try node.differences(pod) == [])
    }

    @Test func requestsThatNoNetworkCanHave() throws {
        let changes: [(String, (inout PodNetworkRequest) -> Void)] = [
            ("no address", { $0.addresses = [] }),
            ("twice", { $0.addresses += $0.addresses }),
            ("multicast", { $0.addresses = [IPAddress("224.0.0.1")].compactMap { $0 } }),
            ("unspecified", { $0.addresses = [IPAddress("::")].compactMap { $0 } }),
            ("gateway", { $0.addresses = [PodNetworkPlan.gatewayIPv4] }),
            ("mapped", { $0.addresses = [IPAddress("::ffff:10.0.0.1")].compactMap { $0 } }),
            ("small MTU", { $0.mtu = 67 }), ("large MTU", { $0.mtu = 65_536 }), ("no MTU", { $0.mtu = 0 }),
            ("MTU below IPv6", { $0.mtu = 1279 }),
            ("multicast MAC", { $0.mac = MACAddress("01:00:00:00:00:01") }),
            ("the host's MAC", { $0.mac = PodNetworkPlan.hostMAC }),
            ("no queue", { $0.queues = 0 }), ("queues", { $0.queues = 4097 }),
            ("name", { $0.interfaceName = "../x" }), ("lo", { $0.interfaceName = "lo" }),
            ("long name", { $0.hostInterfaceName = "cali0123456789ab" }),
            ("NUL", { $0.interfaceName = "eth0\0" }), ("all", { $0.interfaceName = "all" }),
            ("owner", { $0.owner = String(repeating: "x", count: 256) }),
        ]
        for (name, change) in changes {
            let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1", change: change)
            let before = try node.snapshot(pod)
            let error = #expect(throws: PodNetworkError.self, "\(name)") { try node.attach(pod) }
            guard case .invalidRequest = error else {
                Issue.record("\(name): \(String(describing: error))")
                continue
            }
            #expect(try node.snapshot(pod) == before)
        }
    }
}
