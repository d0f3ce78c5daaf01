import Netlink
import NetworkTypes

/// The interfaces that have something to do with a pod's network, as they are now.
struct PodLinks {
    /// The interface in the pod.
    let container: Link?
    /// The other end of ``container``, if that is on the host.
    let hostEnd: Link?
    /// The host's interface with the name that the host end should have.
    let hostNamed: Link?
    /// Whether ``hostNamed`` and ``container`` are the two ends of one pair.
    var isPair: Bool { hostEnd != nil && hostEnd?.index == hostNamed?.index }

    /// - Parameters:
    ///   - hostInterfaceName: `nil` when it cannot be known.
    ///   - socket: Talks about the host's namespace, which is also the calling thread's.
    init(
        interfaceName: String,
        hostInterfaceName: String?,
        in namespace: NetworkNamespace,
        host socket: NetlinkSocket
    ) throws(PodNetworkError) {
        let (named, end, container) = try PodNetworkError.translating {
            let named = try hostInterfaceName.flatMap { try socket.linkIfPresent(.name($0)) }
            let host = try NetworkNamespace.current()
            let containerSocket = try NetlinkSocket(in: namespace)
            guard let container = try containerSocket.linkIfPresent(.name(interfaceName)) else {
                return (named, Link?.none, Link?.none)
            }
            guard container.kind == "veth", let peer = container.peerIndex,
                // An index means nothing without the namespace that it counts in.
                let peerNamespace = container.peerNamespace,
                try containerSocket.get(.number(of: host)).rawValue == peerNamespace
            else { return (named, Link?.none, container) }
            if let named, named.index == peer { return (named, named, container) }
            return (named, try socket.linkIfPresent(.index(peer)), container)
        }
        (hostNamed, hostEnd, self.container) = (named, end, container)
    }
}

extension Link {
    /// Whether this looks like the host end of some pod's pair: by the hardware address that all of them have, or by
    /// the name that most have.
    var isPodHostEnd: Bool {
        kind == "veth" && (mac == PodNetworkPlan.hostMAC || name.hasPrefix(HostInterfaceName.defaultPrefix))
    }
}
