import NetworkTypes

/// What others have changed of a pod's network, and are known to have changed.
public struct LaterChanges: Hashable, Sendable {
    /// The MTU of the host end, when it is not that of the pod's end.
    public var hostMTU: Int?
    /// Whether the pod's interface was given another hardware address, upon which the kernel forgets the neighbours, also
    /// the permanent ones.
    public var hasNewMAC: Bool
    /// Addresses that the pod's interface was given besides.
    public var addresses: [CIDR]
    /// Routes that the pod was given besides, to whatever interface and in whatever table.
    public var routes: [AddedRoute]
    /// Where routes of the pod led to that were taken away.
    public var lostRoutes: Set<CIDR>

    public struct AddedRoute: Hashable, Sendable {
        public let destination: CIDR
        /// `nil` when it is not known whether there is one.
        public let gateway: IPAddress?

        public init(to destination: CIDR, gateway: IPAddress? = nil) {
            self.destination = destination.masked
            self.gateway = gateway
        }
    }

    public init(
        hostMTU: Int? = nil,
        hasNewMAC: Bool = false,
        addresses: [CIDR] = [],
        routes: [AddedRoute] = [],
        lostRoutes: Set<CIDR> = []
    ) {
        self.hostMTU = hostMTU
        self.hasNewMAC = hasNewMAC
        self.addresses = addresses
        self.routes = routes
        self.lostRoutes = lostRoutes
    }
}
