import Netlink
import NetworkTypes

/// A pod's network as it is in place, for the result of an ADD.
public struct PodInterfaces: Hashable, Sendable {
    /// One end of the veth pair.
    public struct End: Hashable, Sendable {
        public let name: String
        public let mac: MACAddress
        /// In bytes.
        public let mtu: Int
        /// Counts in the end's own namespace.
        public let index: InterfaceIndex

        init(_ link: Link) throws(PodNetworkError) {
            guard let mac = link.mac else { throw .system("interface \(link.name) has no hardware address") }
            name = link.name
            self.mac = mac
            mtu = link.mtu
            index = link.index
        }
    }

    /// A route that the pod has.
    public struct Route: Hashable, Sendable {
        public let destination: CIDR
        public let gateway: IPAddress
        public let mtu: Int?
        public let priority: UInt32?
    }

    public let host: End
    public let container: End
    /// The routes asked for, with the gateway that they go through.
    public let routes: [Route]
    /// What did not work but does no harm (the settings of 4.4 that may fail).
    public let warnings: [String]
}
