import NetworkTypes
import Synchronization

/// The `healthCheckNodePort`s that the node answers on, which the backend of iptables mode accepts packets for (1.10, 7).
public final class HealthCheckNodePorts: ControllerObserver {
    private let ports = Mutex<[IPFamily: [String: UInt16]]>([:])

    public init() {}

    public func committing(_ plans: [Catalog.ServiceID: ServicePlan]) {
        ports.withLock { ports in
            for (service, plan) in plans {
                ports[service.family, default: [:]][service.name.description] = plan.healthCheck?.port
            }
        }
    }

    /// By the name of the Service.
    func current(_ family: IPFamily) -> [String: UInt16] { ports.withLock { $0[family] ?? [:] } }
}
