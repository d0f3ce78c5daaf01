import Glibc
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import PodNetwork

@Suite(.enabled(if: isRoot))
struct DetachTests {
    let node: PodFixture

    init() throws {
        node = try PodFixture()
    }

    @Test func detachRemovesEverythingAndCanBeRepeated() throws {
        let pod = try node.pod("web-0", "10.80.0.1", "fd00:80::1")
        let before = try node.snapshot(pod)
        try node.detach(pod)
        try node.attach(pod)
        #expect(try node.snapshot(pod) != before)
        for _ in 1...3 {
            try node.detach(pod)
            #expect(try node.snapshot(pod) == before)
        }
    }

    @Test func namesThatCannotBeAreNoObstacle() throws {
        for name in ["", "../x", "cali0123456789abcdef", "a\0b"] {
            let pod = try node.pod("web-0", "10.80.0.1")
            let before = try node.snapshot(pod)
            try node.attach(pod)
            var request = pod.request
            request.hostInterfaceName = name
            try node.detach(PodFixture.Pod(namespace: pod.namespace, addresses: pod.addresses, request: request))
            #expect(try node.snapshot(pod) == before)
            request.interfaceName = name
            try node.detach(PodFixture.Pod(namespace: pod.namespace, addresses: pod.addresses, request: request))
        }
    }

    @Test func hostEndGoesWhenTheNamespaceCannotBeReached() throws {
        for (path, owner) in [("/nonexistent", "container-web-0/eth0"), ("", "container-web-0/eth0")] {
            let pod = try node.pod("web-0", "10.80.0.1")
            let before = try node.snapshot(pod)
            try node.attach(pod)
            try node.detach(pod, namespacePath: path, owner: owner)
            #expect(try node.snapshot(pod) == before)
        }
    }

    @Test func hostEndWithoutOwnerIsRecognizedByItsRoute() throws {
        let pod = try node.pod("web-0", "10.80.0.1") { $0.owner = nil }
        let before = try node.snapshot(pod)
        try node.attach(pod)
        let unrelated = PodFixture.Pod(
            namespace: pod.namespace,
            addresses: [try "10.80.0.2".address],
            request: pod.request
        )
        try node.detach(unrelated, namespacePath: "/nonexistent")
        #expect(try node.differences(pod) == [])
        try node.detach(pod, namespacePath: "/nonexistent")
        #expect(try node.snapshot(pod) == before)
    }

    @Test func interfaceUnderAnotherHostNameIsStillOurs() throws {
        // The prefix changed between ADD and DEL (rule D8).
        let pod = try node.pod("web-0", "10.80.0.1") { $0.hostInterfaceName = "pre01234567890" }
        let before = try node.snapshot(pod)
        try node.attach(pod)
        var request = pod.request
        request.hostInterfaceName = HostInterfaceName.derive(namespace: "default", pod: "web-0")
        try node.detach(PodFixture.Pod(namespace: pod.namespace, addresses: pod.addresses, request: request))
        #expect(try node.snapshot(pod) == before)
    }

    @Test func orphanedHostRoutesGoAndOthersStay() throws {
        let pod = try node.pod("web-0", "10.80.0.1", "10.80.0.2")
        let socket = try NetlinkSocket(in: node.host)
        let orphan = try node.pod("orphan", "10.80.0.7")
        try node.attach(orphan)
        try socket.send([.addLink(name: "br0", kind: "bridge"), .setLink(.name("br0"), up: true)])
        let bridge = try socket.get(.link(.name("br0")))
        let veth = try socket.get(.link(.name(orphan.request.hostInterfaceName)))
        // One address is routed to a pod that does not have it, the other to something that is not ours.
        try socket.send([
            .addRoute(to: "10.80.0.1/32".cidr, via: .interface(veth.index), scope: .link),
            .addRoute(to: "10.80.0.2/32".cidr, via: .interface(bridge.index), scope: .link),
        ])
        try node.detach(pod)
        #expect(
            Set(try socket.list(.routes(RouteFilter(family: .ipv4))).map(\.destination.description))
                == ["10.80.0.2/32", "10.80.0.7/32"]
        )
        #expect(try node.differences(orphan) == [])
    }

    @Test func reusedAddressOfALivingPodKeepsItsRoute() throws {
        let old = try node.pod("old", "10.80.0.1")
        let new = try node.pod("new", "10.80.0.1")
        try node.attach(new)
        try node.detach(old)
        try node.detach(old, namespacePath: "/nonexistent")
        #expect(try node.differences(new) == [])
    }

    @Test func namespaceThatIsOurOwnIsRefused() throws {
        let pod = try node.pod("web-0", "10.80.0.1")
        #expect(throws: PodNetworkError.namespaceIsOwn(path: node.host.descriptorPath)) {
            try node.detach(pod, namespacePath: node.host.descriptorPath)
        }
    }

    /// A late DEL, whose path leads to the namespace of another container by now.
    @Test func anotherOwnersLinkStays() throws {
        let pod = try node.pod("web-0", "10.80.0.1")
        try node.attach(pod)
        try node.detach(pod, namespacePath: pod.namespace.descriptorPath, owner: "container-before/eth0")
        #expect(try node.differences(pod) == [])
    }
}
