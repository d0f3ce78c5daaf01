import NFTables
import NetworkTypes

/// Keys and data of the table's elements.
enum Key {
    static func address(_ address: IPAddress) -> Concatenation {
        var key = Concatenation()
        key.append(address)
        return key
    }

    static func frontend(_ frontend: Frontend.Key) -> Concatenation {
        var key = Concatenation()
        switch frontend {
        case .address(let address, let transport, let port):
            key.append(address)
            key.append(transport)
            key.append(port)
        case .nodePort(_, let transport, let port):
            key.append(transport)
            key.append(port)
        }
        return key
    }

    /// The key of a frontend's n-th backend.
    static func slot(_ index: Int, of frontend: Concatenation) -> Concatenation {
        var key = frontend
        key.append(hostOrder: UInt32(truncatingIfNeeded: index))
        return key
    }

    /// A number in the byte order of this machine.
    static func number(_ number: UInt32) -> Concatenation {
        var data = Concatenation()
        data.append(hostOrder: number)
        return data
    }

    static func endpoint(_ endpoint: Destination) -> Concatenation {
        var data = Concatenation()
        data.append(endpoint.address)
        data.append(endpoint.port)
        return data
    }

    /// The number of an affinity scope, behind the word that its place in the registers leaves over.
    static func affinity(_ scope: UInt32) -> Concatenation {
        var data = Concatenation()
        data.append(hostOrder: 0)
        data.append(hostOrder: scope)
        return data
    }

    /// What is remembered of a client, but for the client.
    static func affinity(_ member: AffinityMember) -> Concatenation {
        var data = affinity(member.scope)
        data.append(member.endpoint.address)
        data.append(member.endpoint.port)
        return data
    }

    /// A client in the memory of an affinity scope.
    static func client(_ address: IPAddress, of scope: UInt32) -> Concatenation {
        var key = Concatenation()
        key.append(address)
        key.append(hostOrder: scope)
        return key
    }

    static func member(_ member: AffinityMember) -> Concatenation {
        var key = Concatenation()
        key.append(hostOrder: member.scope)
        key.append(member.endpoint.address)
        key.append(member.endpoint.port)
        return key
    }

    /// A connection of an endpoint to itself.
    static func hairpin(_ local: LocalDestination) -> Concatenation {
        var key = Concatenation()
        key.append(local.endpoint.address)
        key.append(local.endpoint.address)
        key.append(local.transport)
        key.append(local.endpoint.port)
        return key
    }

    /// Everything that one range of sources may dial at a frontend.
    static func allowed(_ range: ClosedRange<IPAddress>, _ frontend: Frontend.Key) -> Element? {
        guard case .address(let address, let transport, let port) = frontend else { return nil }
        func key(_ source: IPAddress) -> Concatenation {
            var key = Concatenation()
            key.append(source)
            key.append(address)
            key.append(transport)
            key.append(port)
            return key
        }
        return Element(key(range.lowerBound), through: key(range.upperBound))
    }
}

/// Where a backend listens.
struct Destination: Hashable, Sendable {
    let address: IPAddress
    let port: UInt16

    init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    init(_ backend: Backend) {
        self.init(address: backend.address, port: backend.port)
    }
}

/// A backend on this node, which may reach itself through a frontend.
struct LocalDestination: Hashable, Sendable {
    let endpoint: Destination
    let transport: TransportProtocol
}

extension Frontend.Key {
    var family: IPFamily {
        switch self {
        case .address(let address, _, _): address.family
        case .nodePort(let family, _, _): family
        }
    }

    var transport: TransportProtocol {
        switch self {
        case .address(_, let transport, _), .nodePort(_, let transport, _): transport
        }
    }

    var scope: Scope {
        switch self {
        case .address: .service
        case .nodePort: .nodePort
        }
    }
}
