import Netlink
import NetworkTypes

extension PodNetworkPlan {
    /// Makes both ends, the container's directly in its namespace, with their final names, hardware addresses and MTU.
    func linkRequest(in namespace: NetworkNamespace) -> NetlinkRequest {
        .addVeth(
            VethEnd(name: host.name, mac: host.mac, mtu: mtu, queues: queues),
            peer: VethEnd(name: container.name, mac: container.mac, mtu: mtu, queues: queues),
            in: namespace
        )
    }
}

extension PodNetworkPlan.Side {
    /// Brings an end up and gives it all that depends on it, in order. The routes come last; there are as many requests
    /// for them as there are ``routes``.
    ///
    /// - Parameters:
    ///   - peerMAC: The hardware address of the other end.
    ///   - owner: Becomes the interface's alias.
    func requests(on interface: InterfaceIndex, peerMAC: MACAddress, owner: String? = nil) -> [NetlinkRequest] {
        var requests: [NetlinkRequest] = [.setLink(.index(interface), up: true, alias: owner)]
        for address in addresses {
            requests.append(
                .replaceAddress(
                    InterfaceAddress(
                        address,
                        on: interface,
                        scope: isLinkLocal(address.address) ? .link : .universe,
                        // IPAM knows that nobody else has it; asking would keep the pod without network for a second.
                        flags: address.family == .ipv6 ? .noDuplicateDetection : []
                    )
                )
            )
        }
        for neighbour in neighbours {
            requests.append(.setNeighbour(.permanent(neighbour, at: peerMAC, on: interface)))
        }
        for entry in routes { requests.append(.addRoute(entry.route(on: interface))) }
        return requests
    }

    private func isLinkLocal(_ address: IPAddress) -> Bool {
        if case .v6(let address) = address { address.isLinkLocal } else { false }
    }

    /// Writes the settings, in the namespace of the calling thread, and tells what failed without harm.
    ///
    /// - Throws: When a setting failed that the pod needs.
    func applySettings() throws(PodNetworkError) -> [String] {
        var warnings: [String] = []
        for setting in settings {
            do throws(SysctlError) {
                try setting.sysctl.write(setting.value)
            } catch {
                guard !setting.isRequired else { throw PodNetworkError(error) }
                warnings.append("\(error)")
            }
        }
        return warnings
    }
}
