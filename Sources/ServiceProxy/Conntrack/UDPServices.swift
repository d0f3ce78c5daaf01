import Netlink
import NetworkTypes

/// The UDP service ports that are programmed, as far as it takes to tell which tracked flows are stale: the kernel sends
/// the packets of a flow that it knows on to where its first packet went, whatever the rules say by now (2.7).
///
/// Work is in proportion to what changes, a flow is judged in constant time, and Services without UDP cost nothing.
struct UDPServices: Sendable {
    /// Where a flow may lead.
    struct Endpoint: Hashable, Sendable {
        let address: IPAddress
        let port: UInt16
    }

    /// What is to be looked for in the table of one family.
    struct CleanUp: Hashable, Sendable {
        /// Frontends that are gone since the last one.
        var removed: Set<Frontend.Key> = []
    }

    /// A frontend as one Service wants it. Several may want the same; then the flows of all of them are left alone.
    private struct Claim {
        let service: Catalog.ServiceID
        var endpoints: Set<Endpoint>
    }

    private var claims: [Frontend.Key: [Claim]] = [:]
    /// The frontends of each Service that has some.
    private var keys: [Catalog.ServiceID: Set<Frontend.Key>] = [:]
    /// What a commit that is under way may bring: the kernel may have it already.
    private var upcoming: [Frontend.Key: Set<Endpoint>] = [:]
    private var due: [IPFamily: CleanUp] = [:]

    /// What a clean-up that cannot be done remembers at most; flows of more frontends than that time out by themselves.
    private static let removedLimit = 65_536

    init() {}

    // MARK: Changes

    /// Notes what a commit is about to program. Flows to it may exist before the commit is known to have succeeded.
    mutating func willProgram(_ plans: [Catalog.ServiceID: ServicePlan]) {
        upcoming = [:]
        for plan in plans.values where !plan.servingUDP.isEmpty {
            for (key, endpoints) in plan.udpFrontends { upcoming[key, default: []].formUnion(endpoints) }
        }
    }

    /// Takes in what a commit has programmed.
    ///
    /// - Parameters:
    ///   - removed: frontends that an earlier process had programmed, and that are gone.
    ///   - isWhole: whether everything was put in place: at the start, and after others had removed rules. Packets may
    ///     have met no rule before, and endpoints may have gone unseen.
    /// - Returns: whether there is something to clean up (CT-1).
    mutating func programmed(
        _ plans: [Catalog.ServiceID: ServicePlan],
        removed: Set<Frontend.Key> = [],
        isWhole: Bool
    ) -> Bool {
        upcoming = [:]
        for (service, plan) in plans where !plan.servingUDP.isEmpty || keys[service] != nil {
            update(service, plan.udpFrontends)
        }
        for key in removed where key.transport == .udp { markRemoved(key) }
        if isWhole {
            for family in Set(keys.keys.lazy.map(\.family)) { markDue(family) }
        }
        return !due.isEmpty
    }

    private mutating func update(_ service: Catalog.ServiceID, _ frontends: [Frontend.Key: Set<Endpoint>]) {
        for key in keys[service] ?? [] where frontends[key] == nil {
            claims[key]?.removeAll { $0.service == service }
            if claims[key]?.isEmpty == true { claims[key] = nil }
            markRemoved(key)
        }
        for (key, endpoints) in frontends {
            guard let index = claims[key]?.firstIndex(where: { $0.service == service }) else {
                claims[key, default: []].append(Claim(service: service, endpoints: endpoints))
                markDue(service.family)  // CT-5: what was sent there before met no rule.
                continue
            }
            // An endpoint that comes makes no flow stale.
            let isShorter = claims[key]?[index].endpoints.isSubset(of: endpoints) == false
            claims[key]?[index].endpoints = endpoints
            if isShorter { markDue(service.family) }
        }
        keys[service] = frontends.isEmpty ? nil : Set(frontends.keys)
    }

    private mutating func markDue(_ family: IPFamily) {
        if due[family] == nil { due[family] = CleanUp() }
    }

    private mutating func markRemoved(_ key: Frontend.Key) {
        markDue(key.family)
        guard let count = due[key.family]?.removed.count, count < Self.removedLimit else { return }
        due[key.family]?.removed.insert(key)
    }

    // MARK: Clean-up

    /// What has to be cleaned up, which is then up to the caller to do.
    mutating func takeDue() -> [IPFamily: CleanUp] {
        defer { due = [:] }
        return due
    }

    /// Returns what could not be done.
    mutating func putBack(_ cleanUp: CleanUp, _ family: IPFamily) {
        markDue(family)
        for key in cleanUp.removed { markRemoved(key) }
    }

    /// Whether a flow leads to where no packet would be sent now.
    ///
    /// kube-proxy takes a flow to whatever address for one of a node port when its port is that (CT-4 b). Here a flow
    /// that nobody translates has to be for the node itself: else it is one that passes through, to a stranger's port.
    ///
    /// - Parameter isLocal: whether an address is one of this node.
    func isStale(_ flow: ConntrackEntry, in cleanUp: CleanUp, isLocal: (IPAddress) -> Bool) -> Bool {
        let original = flow.original
        guard original.transport == TransportProtocol.udp.rawValue else { return false }  // CT-3
        let address = Frontend.Key.address(original.destination, .udp, original.destinationPort)
        let nodePort = Frontend.Key.nodePort(original.destination.family, .udp, original.destinationPort)
        let endpoint = Endpoint(address: flow.reply.source, port: flow.reply.sourcePort)
        if let claims = claims[address] { return isStale(endpoint, address, claims) }
        if let claims = claims[nodePort] {
            guard flow.isTranslated || isLocal(original.destination) else { return false }
            return isStale(endpoint, nodePort, claims)
        }
        // Nothing of ours is there any more, so that only what we have translated is stale.
        guard flow.isTranslated, cleanUp.removed.contains(address) || cleanUp.removed.contains(nodePort) else {
            return false
        }
        return upcoming[address] == nil && upcoming[nodePort] == nil
    }

    private func isStale(_ endpoint: Endpoint, _ key: Frontend.Key, _ claims: [Claim]) -> Bool {
        !claims.contains { $0.endpoints.contains(endpoint) } && upcoming[key]?.contains(endpoint) != true
    }
}

extension ServicePlan {
    /// Where each UDP frontend may lead.
    fileprivate var udpFrontends: [Frontend.Key: Set<UDPServices.Endpoint>] {
        var endpoints: [ServicePortName: Set<UDPServices.Endpoint>] = [:]
        for port in servingUDP {
            endpoints[port.name] = Set(port.endpoints.lazy.map { .init(address: $0.address, port: $0.port) })
        }
        var result: [Frontend.Key: Set<UDPServices.Endpoint>] = [:]
        for frontend in frontends {
            guard let serving = endpoints[frontend.servicePort] else { continue }
            result[frontend.key, default: serving].formUnion(serving)
        }
        return result
    }
}
