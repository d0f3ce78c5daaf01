import CNI
import NetworkTypes
import PodNetwork

/// What a result says of one attachment, beside what it says of others (K2, K3).
struct ToldAttachment {
    /// The container's end; `nil` when the result has none of this name.
    let interface: NetworkResult.Interface?
    /// The addresses that the result has on it.
    private let own: [CIDR]
    /// Those that it has on nothing in particular.
    private let free: [CIDR]
    private let routes: [NetworkResult.Route]

    /// - Parameter name: the interface in the container. Others may have added interfaces; the one with our name is ours.
    init(_ name: String, in result: NetworkResult) {
        let index = result.interfaces.firstIndex { $0.name == name && $0.sandbox != nil }
        interface = index.map { result.interfaces[$0] }
        own = result.addresses.filter { index != nil && $0.interface == index }.map(\.address)
        free = result.addresses.filter { $0.interface == nil }.map(\.address)
        // Where there are addresses of others, routes through other routers are theirs.
        let isAlone = own.count == result.addresses.count
        routes = result.routes.filter {
            isAlone || $0.gateway == PodNetworkPlan.gateway($0.destination.address.family)
        }
    }

    /// Whether the result has an address, as far as can be told on our interface.
    func mayHave(_ address: IPAddress) -> Bool { (own + free).contains { $0.address == address } }

    /// What plugins after us have done to a pod's network by what the result tells: it has all that the result has, and
    /// need not have a route that the result has no more.
    func changes(since plan: PodNetworkPlan) -> LaterChanges {
        let made = plan.container.routes.filter { $0.gateway != nil }
        let lost = made.filter { entry in
            !routes.contains {
                $0.destination.masked == entry.destination && ($0.gateway == nil || $0.gateway == entry.gateway)
            }
        }
        let added = routes.filter { route in
            !made.contains {
                $0.destination == route.destination.masked && (route.gateway == nil || route.gateway == $0.gateway)
            }
        }
        return LaterChanges(
            addresses: own.filter { !plan.container.addresses.contains($0) },
            routes: added.map { .init(to: $0.destination, gateway: $0.gateway) },
            lostRoutes: Set(lost.map(\.destination))
        )
    }
}
