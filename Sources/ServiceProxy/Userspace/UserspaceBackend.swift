import LoadBalancer
import Netlink
import NetworkTypes

/// Frontends as listening sockets of this process, and connections to the endpoints: for hosts where no rules can be made,
/// and for what rules cannot do.
///
/// What arrives at an endpoint comes from this node's address; the client's is lost but for the PROXY protocol. When the
/// process ends, so do its connections.
public actor UserspaceBackend: ServiceBackend {
    private struct Served {
        let frontend: Frontend
        let plan: ListenerPlan
    }

    private var options: UserspaceOptions
    private var balancer: LoadBalancer?
    private var addresses: ServiceAddresses?
    private var served: [Frontend.Key: Served] = [:]
    private var owners: [ListenEndpoint: Frontend.Key] = [:]
    /// The node's addresses without those that it has for Services.
    private var localAddresses: Set<IPAddress> = []
    private var watchTask: Task<Void, Never>?

    public nonisolated let drifts: AsyncStream<BackendDrift>
    private let drift: AsyncStream<BackendDrift>.Continuation

    public init(options: UserspaceOptions) {
        self.options = options
        (drifts, drift) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    deinit {
        watchTask?.cancel()
        drift.finish()
    }

    public nonisolated var holdsConnections: Bool { true }

    /// What was done for each service port, by `namespace/name:port/protocol`.
    public var counters: [String: GroupCounters] {
        get async { await balancer?.counters ?? [:] }
    }

    /// The service ports that are served, by the names that their counters have.
    var servicePorts: [String: ServicePortName] {
        var ports: [String: ServicePortName] = [:]
        for entry in served.values {
            for listener in entry.plan.listeners { ports[listener.group] = entry.frontend.servicePort }
        }
        return ports
    }

    public func start(with frontends: [Frontend]) async throws -> BackendStart {
        var result = BackendStart()
        let isFirst = balancer == nil
        let balancer = try makeBalancer()
        if addresses == nil { addresses = try makeAddresses() }
        try addresses?.reopen()
        let found = try await lookAround()
        let wanted = Set(frontends.map(\.key))
        for key in served.keys where !wanted.contains(key) { await stopServing(key) }
        for frontend in frontends {
            let entry = served[frontend.key]
            let old = entry?.frontend
            if let entry, old == frontend, (try? ListenerPlan(frontend, on: host)) == entry.plan { continue }
            result.changes += 1
            let change = old.map { FrontendChange.replace(old: $0, new: frontend) } ?? .add(frontend)
            if let reason = await serve(frontend) {
                result.refused.append(RefusedFrontend(change: change, reason: reason))
            }
        }
        result.changes += try addresses?.repair() ?? 0
        for family in Set(frontends.map(\.key.family)) {
            result.findings[family] = found.contains { $0.family == family } ? .adopted : .created
        }
        await settle()
        watch()
        options.logger.info(
            "services are served by this process",
            metadata: [
                "addresses": "\(addresses.map { "on \($0.place)" } ?? "of the node alone")",
                "frontends": "\(served.count)", "refused": "\(result.refused.count)",
                "descriptors": "\(balancer.descriptorLimit)", "restarted": "\(!isFirst)",
            ]
        )
        return result
    }

    public func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend] {
        guard balancer != nil else { throw ServiceBackendError.lost("what userspace mode listens on") }
        var refused = await carryOut(changes)
        // What a frontend is to listen on may have been left only later, as when a Service of the port map has another
        // port. Removals do not go first, so that addresses with other ports stay.
        if !refused.isEmpty { refused = await carryOut(refused.map(\.change)) }
        await settle()
        return refused
    }

    private func carryOut(_ changes: [FrontendChange]) async -> [RefusedFrontend] {
        var refused: [RefusedFrontend] = []
        for change in changes {
            switch change {
            case .remove(let frontend): await stopServing(frontend.key)
            case .add(let frontend), .replace(_, let frontend):
                if let reason = await serve(frontend) {
                    refused.append(RefusedFrontend(change: change, reason: reason))
                }
            }
        }
        return refused
    }

    public func adapt(to surroundings: Surroundings) async throws -> Bool {
        options.surroundings = surroundings
        try await lookAround()
        for entry in served.values where (try? ListenerPlan(entry.frontend, on: host)) != entry.plan {
            guard let reason = await serve(entry.frontend) else { continue }
            options.logger.error(
                "a frontend is not served as the node is now",
                metadata: ["service": "\(entry.frontend.servicePort)", "reason": "\(reason)"]
            )
        }
        return true
    }

    public func cleanup() async throws {
        watchTask?.cancel()
        watchTask = nil
        await balancer?.stop()
        (balancer, addresses, served, owners) = (nil, nil, [:], [:])
        guard ownsAddresses() else { return }
        try ServiceAddresses.cleanUp(interfaceName: options.interfaceName, in: options.namespace)
    }

    /// Removes the addresses of Services that any process of this program has put on this machine. Needs CAP_NET_ADMIN.
    public static func cleanUp() throws {
        try ServiceAddresses.cleanUp(interfaceName: UserspaceOptions().interfaceName, in: nil)
    }

    /// Ends all connections, and leaves the addresses for a process to come, so that nobody else is asked meanwhile.
    func stop() async {
        watchTask?.cancel()
        await balancer?.stop()
        (balancer, addresses, served, owners) = (nil, nil, [:], [:])
    }

    // MARK: - One frontend

    /// - Returns: why it cannot be served, or `nil`; what was served for its key then stays.
    private func serve(_ frontend: Frontend) async -> String? {
        guard let balancer else { return "userspace mode is not running" }
        let old = served[frontend.key]
        var plan: ListenerPlan
        do {
            plan = try ListenerPlan(frontend, on: host)
        } catch {
            return error.reason
        }
        for listener in plan.listeners {
            if let owner = owners[listener.endpoint], owner != frontend.key {
                return "\(listener.endpoint) is used by another frontend, \(owner)"
            }
        }
        do {
            if let address = plan.address, try addresses?.take(address) == false {
                // Somebody else has just put it on the node.
                localAddresses.insert(address)
                plan = try ListenerPlan(frontend, on: host)
            }
        } catch let error as ListenerPlan.Refusal {
            return error.reason
        } catch {
            return "\(error)"
        }
        let oldEndpoints = Set(old?.plan.listeners.map(\.endpoint) ?? [])
        var added: [ListenEndpoint] = []
        for listener in plan.listeners {
            do {
                try await balancer.set(listener)
                owners[listener.endpoint] = frontend.key
                if !oldEndpoints.contains(listener.endpoint) { added.append(listener.endpoint) }
            } catch {
                for endpoint in added { await close(endpoint) }
                for listener in old?.plan.listeners ?? [] { try? await balancer.set(listener) }
                giveBack(plan.address)
                return "\(listener.endpoint) cannot be listened on: \(error)"
            }
        }
        served[frontend.key] = Served(frontend: frontend, plan: plan)
        let endpoints = Set(plan.listeners.map(\.endpoint))
        for endpoint in oldEndpoints.subtracting(endpoints) { await close(endpoint) }
        giveBack(old?.plan.address)
        return nil
    }

    private func stopServing(_ key: Frontend.Key) async {
        guard let entry = served.removeValue(forKey: key) else { return }
        for listener in entry.plan.listeners { await close(listener.endpoint) }
        giveBack(entry.plan.address)
    }

    private func close(_ endpoint: ListenEndpoint) async {
        owners[endpoint] = nil
        await balancer?.remove(endpoint)
    }

    private func giveBack(_ address: IPAddress?) {
        guard let address else { return }
        do {
            try addresses?.give(address)
        } catch {
            options.logger.error("an address stays behind", metadata: ["address": "\(address)", "error": "\(error)"])
        }
    }

    // MARK: - The node

    private func makeBalancer() throws -> LoadBalancer {
        if let balancer { return balancer }
        var loadBalancer = options.loadBalancer
        if let namespace = options.namespace {
            loadBalancer.startThread = { body in Task { try await namespace.run { body() } } }
        }
        let made = try LoadBalancer(loadBalancer, logger: options.logger)
        balancer = made
        return made
    }

    /// - Returns: `nil` when only addresses that the node has are listened on.
    private func makeAddresses() throws -> ServiceAddresses? {
        guard ownsAddresses() else { return nil }
        do {
            return try ServiceAddresses(interfaceName: options.interfaceName, in: options.namespace)
        } catch  where options.reach == .automatic {
            // The capability may be one of a user namespace that does not own this network.
            options.logger.warning(
                "the node cannot be given the addresses of Services; those of the port map are listened on",
                metadata: ["error": "\(error)"]
            )
            return nil
        }
    }

    private func ownsAddresses() -> Bool {
        switch options.reach {
        case .automatic: LocalNode.mayAdministerNetwork
        case .addresses: true
        case .listening: false
        }
    }

    private var host: ListenerPlan.Host {
        ListenerPlan.Host(
            ownsAddresses: addresses != nil,
            localAddresses: localAddresses,
            nodePorts: options.surroundings.nodePorts,
            portMap: options.portMap,
            algorithm: options.algorithm
        )
    }

    /// Looks at what addresses the node has.
    ///
    /// - Returns: those that it has for Services.
    @discardableResult
    private func lookAround() async throws -> Set<IPAddress> {
        let own = try presentAddresses()
        // What is known is better than nothing.
        if let all = try await allAddresses() { localAddresses = all.subtracting(own) }
        addresses?.leave(localAddresses)
        await tellNearSources()
        return own
    }

    private func tellNearSources() async {
        var prefixes: [CIDR] = []
        if case .within(let pods) = options.surroundings.localSources { prefixes = pods }
        await balancer?.setNearSources(NearSources(prefixes: prefixes, addresses: localAddresses))
    }

    /// A list that others change meanwhile can fail once.
    private func presentAddresses() throws -> Set<IPAddress> {
        guard let addresses else { return [] }
        do {
            return try addresses.present()
        } catch {
            return try addresses.present()
        }
    }

    private func allAddresses() async throws -> Set<IPAddress>? {
        guard let namespace = options.namespace else { return LocalNode.addresses() }
        return try await namespace.run { LocalNode.addresses() }
    }

    /// Waits until clients reach the addresses that were added; mostly they do already.
    private func settle() async {
        let deadline = ContinuousClock.now + .seconds(1)
        while addresses?.areReachable() == false, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Notices when somebody takes addresses away, or the interface, or gives the node others.
    private func watch() {
        guard watchTask == nil, addresses != nil,
            let watch = try? AddressWatch(in: options.namespace, hearsLinks: true)
        else { return }
        watchTask = Task { [weak self] in
            for await _ in watch.changes {
                await self?.checkAddresses()
                // Our own changes are told as well, and a look lists all addresses.
                try? await Task.sleep(for: .milliseconds(200))
            }
            withExtendedLifetime(watch) {}
        }
    }

    /// Changes nothing itself: the controller may be in the middle of a change.
    private func checkAddresses() async {
        guard let before = addresses else { return }
        let present = (try? presentAddresses()) ?? []
        let missing = before.wanted.subtracting(present)
        guard before.isUp, missing.isEmpty else {
            let list = missing.sorted().prefix(5).map(\.description).joined(separator: ", ")
            let what = before.isUp ? "addresses on \(before.place): \(list)" : "the interface \(before.place)"
            drift.yield(BackendDrift(what: what, by: "unknown"))
            return
        }
        // What comes and goes meanwhile is ours.
        guard let all = try? await allAddresses(), let addresses else { return }
        let others = all.subtracting(present).subtracting(before.wanted).subtracting(addresses.wanted)
        guard others != localAddresses else { return }
        localAddresses = others
        await tellNearSources()
        let host = host
        guard served.values.contains(where: { (try? ListenerPlan($0.frontend, on: host)) != $0.plan }) else { return }
        drift.yield(BackendDrift(what: "the addresses of the node", by: "unknown"))
    }
}
