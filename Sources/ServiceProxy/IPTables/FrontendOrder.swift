import NetworkTypes

extension Frontend {
    var isNodePort: Bool { kind == .nodePort }

    /// The same for equal frontends, however they came.
    var sortKey: SortKey {
        let kind = Kind.allCases.firstIndex(of: self.kind) ?? 0
        return switch key {
        case .address(let address, let transport, let port):
            SortKey(kind: kind, address: address, transport: transport, port: port)
        case .nodePort(_, let transport, let port):
            SortKey(kind: kind, address: .v4(.unspecified), transport: transport, port: port)
        }
    }

    struct SortKey: Comparable {
        let kind: Int
        let address: IPAddress
        let transport: TransportProtocol
        let port: UInt16

        static func < (left: SortKey, right: SortKey) -> Bool {
            (left.kind, left.address, left.transport, left.port)
                < (right.kind, right.address, right.transport, right.port)
        }
    }
}
