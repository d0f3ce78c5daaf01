import Glibc
import Netlink
import NetworkTypes

/// The removal of one pod's network (4.7).
struct PodDetachment {
    let interfaceName: String
    let hostInterfaceNames: [String]
    let addresses: [IPAddress]
    let owner: String?

    /// - Parameter namespacePath: `nil`, or a path where there is no namespace any more, makes the host side all there is
    ///   to clean up.
    func run(namespacePath: String?) throws(PodNetworkError) {
        let socket = try PodNetworkError.translating { try NetlinkSocket() }
        var isGone = false
        if let namespace = try open(namespacePath) {
            isGone = try removePair(in: namespace, socket)
        }
        if !isGone {
            for name in hostInterfaceNames { try removeHostEnd(name, socket) }
        }
        for address in addresses { try HostRoutes(socket).removeOrphans(of: address) }
    }

    /// The pod's namespace; `nil` when it is gone (rules D3, D4).
    private func open(_ path: String?) throws(PodNetworkError) -> NetworkNamespace? {
        guard let path, !path.isEmpty else { return nil }
        do throws(PodNetworkError) {
            return try .openPod(path)
        } catch {
            guard case .notANamespace = error else { throw error }
            return nil
        }
    }

    /// Deletes the pair whose one end is the pod's interface, if its other end is ours (rule D5).
    ///
    /// - Returns: Whether there was such a pair.
    private func removePair(in namespace: NetworkNamespace, _ socket: NetlinkSocket) throws(PodNetworkError) -> Bool {
        guard HostInterfaceName.isValid(interfaceName) else { return false }
        let found = try PodLinks(
            interfaceName: interfaceName,
            hostInterfaceName: hostInterfaceNames.first(where: HostInterfaceName.isValid),
            in: namespace,
            host: socket
        )
        guard let end = found.hostEnd, hostInterfaceNames.contains(end.name) || end.isPodHostEnd else { return false }
        // The path may lead to another pod's namespace by now; its interface has the same name.
        if let owner, let alias = end.alias, alias != owner { return false }
        try PodNetworkError.translating { try NetlinkSocket.removeIfPresent(.index(end.index)) }
        return true
    }

    /// Deletes a host end whose pod cannot be reached any more, but only if it is this pod's: the next pod of the same
    /// name has a host end of the same name.
    private func removeHostEnd(_ name: String, _ socket: NetlinkSocket) throws(PodNetworkError) {
        guard HostInterfaceName.isValid(name),
            let link = try PodNetworkError.translating({ try socket.linkIfPresent(.name(name)) }),
            link.kind == "veth", try isOurs(link, socket)
        else { return }
        try PodNetworkError.translating { try NetlinkSocket.removeIfPresent(.index(link.index)) }
    }

    private func isOurs(_ link: Link, _ socket: NetlinkSocket) throws(PodNetworkError) -> Bool {
        if let owner, let alias = link.alias { return owner == alias }
        for address in addresses where try HostRoutes(socket).isRouted(address, to: link.index) { return true }
        return false
    }
}
