import NetworkTypes

/// What a pod's network shall be.
public struct PodNetworkRequest: Hashable, Sendable {
    /// The pod's network namespace, as `/run/netns/NAME`.
    public var namespacePath: String
    /// The interface in the pod, as `eth0`.
    public var interfaceName: String
    /// The interface on the host (see ``HostInterfaceName``).
    public var hostInterfaceName: String
    /// The name to take instead when ``hostInterfaceName`` is in use by another owner. `nil` takes the name over: what
    /// bears it belongs to an earlier pod of the same name.
    public var alternateHostInterfaceName: String?
    /// Whom the interfaces belong to, as `CONTAINER-ID/eth0`; kept by the kernel as the host interface's alias.
    public var owner: String?
    /// At least one. Each becomes a /32 or /128.
    public var addresses: [IPAddress]
    /// In bytes, for both ends; `nil` for the kernel's default.
    public var mtu: Int?
    /// The hardware address in the pod; `nil` for a random one.
    public var mac: MACAddress?
    /// Transmit and receive queues of each end.
    public var queues: Int
    /// The pod's routes; empty means a default route for each family that it has an address of. A route whose family
    /// has no address is left out.
    public var routes: [PodRoute]
    /// Whether the pod itself may forward packets.
    public var allowForwarding: Bool

    public init(
        namespacePath: String,
        interfaceName: String,
        hostInterfaceName: String,
        alternateHostInterfaceName: String? = nil,
        owner: String? = nil,
        addresses: [IPAddress],
        mtu: Int? = nil,
        mac: MACAddress? = nil,
        queues: Int = 1,
        routes: [PodRoute] = [],
        allowForwarding: Bool = false
    ) {
        self.namespacePath = namespacePath
        self.interfaceName = interfaceName
        self.hostInterfaceName = hostInterfaceName
        self.alternateHostInterfaceName = alternateHostInterfaceName
        self.owner = owner
        self.addresses = addresses
        self.mtu = mtu
        self.mac = mac
        self.queues = queues
        self.routes = routes
        self.allowForwarding = allowForwarding
    }
}

/// A route of a pod. It always leads to the host; a pod has no other neighbour.
public struct PodRoute: Hashable, Sendable {
    public let destination: CIDR
    /// The largest packet in bytes; `nil` for the interface's.
    public let mtu: Int?
    /// The metric; `nil` for the kernel's default.
    public let priority: UInt32?

    public init(to destination: CIDR, mtu: Int? = nil, priority: UInt32? = nil) {
        self.destination = destination.masked
        self.mtu = mtu
        self.priority = priority
    }
}
