import NetworkTypes

/// An address and port that health checks of one Service are answered on.
public struct HealthCheckSocket: Hashable, Sendable {
    let service: Catalog.ServiceID
    /// An unspecified one stands for all addresses of its family, and of no other.
    public let address: IPAddress
    public let port: UInt16
}

extension HealthCheckSocket: Comparable, CustomStringConvertible {
    public static func < (left: HealthCheckSocket, right: HealthCheckSocket) -> Bool {
        (left.service.name, left.address, left.port) < (right.service.name, right.address, right.port)
    }

    public var description: String { BindAddress(address: address, port: port).description }
}

/// Which sockets there are to be, from what is programmed. A value without I/O; it costs nothing for Services that have
/// no health checks.
struct HealthCheckSockets: Sendable {
    private(set) var checks: [Catalog.ServiceID: HealthCheck] = [:]
    private var nodePorts: NodePortSelections = [:]

    /// - Returns: whether other sockets are wanted than before.
    mutating func take(_ commit: CommitReport) -> Bool {
        guard commit.succeeded else { return false }  // HC-6
        var isChanged = nodePorts != commit.nodePorts && !checks.isEmpty
        nodePorts = commit.nodePorts
        for (id, plan) in commit.plans where plan.healthCheck != nil || !checks.isEmpty {
            let old = checks[id]
            guard old != plan.healthCheck else { continue }
            checks[id] = plan.healthCheck
            isChanged = isChanged || old?.port != plan.healthCheck?.port
        }
        return isChanged
    }

    /// One per Service and address that serves node ports (HC-1).
    var wanted: Set<HealthCheckSocket> {
        var sockets: Set<HealthCheckSocket> = []
        for (id, check) in checks where check.port != 0 {
            switch nodePorts[id.family] {
            case .only(let addresses):
                for address in addresses {
                    sockets.insert(HealthCheckSocket(service: id, address: address, port: check.port))
                }
            case .all:
                let all: IPAddress = id.family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified)
                sockets.insert(HealthCheckSocket(service: id, address: all, port: check.port))
            case nil: break
            }
        }
        return sockets
    }

    /// The Services that should have a port and have none.
    var withoutPort: Set<Catalog.ServiceID> { Set(checks.filter { $0.value.port == 0 }.keys) }
}
