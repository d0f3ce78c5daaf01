import NetworkTypes

extension PodNetworkRequest {
    /// IPv6 does not exist on an interface with a smaller MTU (RFC 8200, section 5).
    private static let smallestIPv6MTU = 1280
    /// What the kernel accepts for a veth.
    private static let possibleMTU = 68...65_535
    /// The kernel's limit for the queues of an interface.
    private static let possibleQueues = 1...4096
    /// IFALIASZ, less the NUL.
    private static let longestOwner = 255

    /// Refuses what no network can have, before anything is changed.
    func validate() throws(PodNetworkError) {
        for name in [interfaceName, hostInterfaceName] + (alternateHostInterfaceName.map { [$0] } ?? []) {
            guard HostInterfaceName.isValid(name) else {
                throw .invalidRequest("\(name.debugDescription) is not an interface name")
            }
        }
        guard interfaceName != "lo", interfaceName != "all", interfaceName != "default" else {
            throw .invalidRequest("a pod's interface cannot be called \(interfaceName)")
        }
        guard !addresses.isEmpty else { throw .invalidRequest("a pod needs at least one address") }
        guard Set(addresses).count == addresses.count else {
            throw .invalidRequest("an address is given twice: \(addresses.map(\.description).joined(separator: ", "))")
        }
        for address in addresses {
            guard Self.canBelongToPod(address) else {
                throw .invalidRequest("a pod cannot have the address \(address)")
            }
        }
        if let mac, mac.isMulticast || mac.bits == 0 || mac == PodNetworkPlan.hostMAC {
            throw .invalidRequest("a pod's interface cannot have the hardware address \(mac)")
        }
        if let mtu {
            guard Self.possibleMTU.contains(mtu) else {
                throw .invalidRequest("an MTU of \(mtu) is outside of \(Self.possibleMTU)")
            }
            guard mtu >= Self.smallestIPv6MTU || !addresses.contains(where: { $0.family == .ipv6 }) else {
                throw .invalidRequest("IPv6 needs an MTU of \(Self.smallestIPv6MTU) at least, not \(mtu)")
            }
        }
        guard Self.possibleQueues.contains(queues) else {
            throw .invalidRequest("\(queues) queues are outside of \(Self.possibleQueues)")
        }
        if let owner, owner.utf8.count > Self.longestOwner || owner.utf8.contains(0) {
            throw .invalidRequest("the owner \(owner.debugDescription) does not fit into an interface's alias")
        }
        for route in routes {
            if let mtu = route.mtu, !Self.possibleMTU.contains(mtu) {
                throw .invalidRequest("an MTU of \(mtu) for \(route.destination) is outside of \(Self.possibleMTU)")
            }
        }
    }

    private static func canBelongToPod(_ address: IPAddress) -> Bool {
        guard !address.isUnspecified, !address.isLoopback, address != PodNetworkPlan.gateway(address.family) else {
            return false
        }
        return switch address {
        case .v4(let address): address.bits >> 28 < 0xe && address.bits >> 24 != 0  // below 224.0.0.0, not in 0.0.0.0/8
        case .v6(let address): address.high >> 56 != 0xff && address.ipv4Mapped == nil
        }
    }
}
