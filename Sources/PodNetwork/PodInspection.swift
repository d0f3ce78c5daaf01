import Netlink
import NetworkTypes

/// Compares a plan with what is in place (rule K2).
struct PodInspection {
    private let plan: PodNetworkPlan
    private let owner: String?
    private let changes: LaterChanges

    /// - Parameter owner: Who must own the host end; `nil` when that does not matter.
    init(_ plan: PodNetworkPlan, owner: String? = nil, changes: LaterChanges = LaterChanges()) {
        self.changes = changes
        self.plan = plan
        self.owner = owner
    }

    /// What is different, one line each. The calling thread is in the host's namespace.
    func differences(in namespace: NetworkNamespace) throws(PodNetworkError) -> [String] {
        try PodNetworkError.translating {
            let socket = try NetlinkSocket()
            let links = try PodLinks(
                interfaceName: plan.container.name,
                hostInterfaceName: plan.host.name,
                in: namespace,
                host: socket
            )
            let hostMAC = links.hostNamed?.mac ?? PodNetworkPlan.hostMAC
            var found = try compare(
                plan.host,
                mtu: changes.hostMTU ?? plan.mtu,
                with: links.hostNamed,
                on: socket,
                place: "host",
                peerMAC: hostMAC
            )
            if let owner, let link = links.hostNamed, link.alias != owner {
                found.append("host interface \(link.name) belongs to \(link.alias ?? "nobody"), not to \(owner)")
            }
            found += try namespace.run {
                try compare(
                    plan.container,
                    mtu: plan.mtu,
                    with: links.container,
                    on: try NetlinkSocket(),
                    place: "pod",
                    peerMAC: hostMAC
                ) + compareAdditions(to: links.container, on: try NetlinkSocket())
            }
            if links.container != nil, links.hostNamed != nil, !links.isPair {
                let other = links.hostEnd.map { "host interface \($0.name)" } ?? "something that is not on this host"
                found.append(
                    "pod interface \(plan.container.name) is connected to \(other) instead of \(plan.host.name)"
                )
            }
            return found
        }
    }

    /// Compares one side; the calling thread is in the namespace of that side, as is the socket.
    private func compare(
        _ side: PodNetworkPlan.Side,
        mtu: Int?,
        with link: Link?,
        on socket: NetlinkSocket,
        place: String,
        peerMAC: MACAddress
    ) throws -> [String] {
        guard let link else { return ["\(place) interface \(side.name) does not exist"] }
        var found: [String] = []
        func expect(_ isRight: Bool, _ difference: @autoclosure () -> String) {
            if !isRight { found.append("\(place) interface \(side.name) \(difference())") }
        }
        expect(link.kind == "veth", "is not a veth")
        expect(link.isUp, "is down")
        if let mac = side.mac {
            expect(link.mac == mac, "has hardware address \(link.mac.map(\.description) ?? "none") instead of \(mac)")
        }
        if let mtu { expect(link.mtu == mtu, "has MTU \(link.mtu) instead of \(mtu)") }

        let addresses = side.addresses.isEmpty ? [] : try socket.list(.addresses(on: link.index))
        for wanted in side.addresses {
            let address = addresses.first { $0.prefix == wanted }
            expect(address != nil, "lacks address \(wanted)")
            expect(
                address?.flags.isDisjoint(with: [.tentative, .duplicate]) ?? true,
                "cannot use address \(wanted) yet, or somebody else has it"
            )
        }
        let neighbours = side.neighbours.isEmpty ? [] : try socket.list(.neighbours(on: link.index))
        for wanted in side.neighbours where !changes.hasNewMAC {
            let entry = neighbours.first { $0.address == wanted }
            expect(
                entry?.mac == peerMAC && entry?.state.contains(.permanent) == true,
                "lacks the permanent neighbour \(wanted) at \(peerMAC)"
            )
        }
        let routes = try socket.list(.routes(RouteFilter(interface: link.index)))
        for entry in side.routes where entry.gateway == nil || !changes.lostRoutes.contains(entry.destination) {
            let wanted = entry.route(on: link.index)
            expect(routes.contains { $0.satisfies(wanted) }, "lacks the route \(entry)")
        }
        for setting in side.settings where setting.isRequired {
            do throws(SysctlError) {
                let value = try setting.sysctl.read()
                if value != setting.value {
                    found.append("\(place) has \(setting.sysctl) = \(value) instead of \(setting.value)")
                }
            } catch {
                found.append("\(place): \(error)")
            }
        }
        return found
    }

    /// Looks for what others have added to the pod, in whose namespace the calling thread and the socket are.
    private func compareAdditions(to link: Link?, on socket: NetlinkSocket) throws -> [String] {
        guard let link else { return [] }
        var found: [String] = []
        if !changes.addresses.isEmpty {
            let addresses = try socket.list(.addresses(on: link.index)).map(\.prefix)
            for wanted in changes.addresses where !addresses.contains(wanted) {
                found.append("pod interface \(link.name) lacks address \(wanted)")
            }
        }
        if !changes.routes.isEmpty {
            let routes = try socket.list(.routes(RouteFilter(table: nil)))
            for wanted in changes.routes where !routes.contains(where: { $0.satisfies(wanted) }) {
                let gateway = wanted.gateway.map { " via \($0)" } ?? ""
                found.append("the pod lacks the route \(wanted.destination)\(gateway)")
            }
        }
        return found
    }
}

extension Route {
    /// Whether this route, as the kernel tells it, is the one that was asked for. The kernel fills in what the request
    /// left open.
    fileprivate func satisfies(_ wanted: Route) -> Bool {
        destination == wanted.destination && nextHop == wanted.nextHop && table == wanted.table
            && (wanted.metric == nil || metric == wanted.metric) && (wanted.mtu == nil || mtu == wanted.mtu)
            && (destination.family == .ipv6 || scope == wanted.scope)
    }

    fileprivate func satisfies(_ wanted: LaterChanges.AddedRoute) -> Bool {
        guard destination == wanted.destination, let gateway = wanted.gateway else {
            return destination == wanted.destination
        }
        return if case .gateway(gateway, _, _) = nextHop { true } else { nextHop == .several }
    }
}

extension PodNetworkPlan.RouteEntry: CustomStringConvertible {
    public var description: String {
        var text = "\(destination)"
        if let gateway { text += " via \(gateway)" }
        if let priority { text += " metric \(priority)" }
        if let mtu { text += " mtu \(mtu)" }
        return text
    }
}
