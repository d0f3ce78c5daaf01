import CNI
import ClusterClient
import NetworkTypes
import PodNetwork

/// ADD: addresses from IPAM, a link with them, a record of both, and the result; or nothing at all.
///
/// Repeating an ADD that succeeded changes nothing and gives the same result, and one that was killed is finished
/// (3.5): the addresses that the attachment has are taken again, and PodNetwork leaves what is right as it is.
struct AddVerb {
    let call: Call
    let prefixes: String?
    let namespacePath: String
    let delegate: IPAMDelegate?

    /// - Parameter deliver: gives the result to the runtime; when it throws, the ADD is undone.
    func run(deliver: (NetworkResult) throws(CNIError) -> Void) async throws(CNIError) {
        let limit = try TimeSettings(call.configuration.reader).add
        Watchdog.startForChanges(after: limit + Rollback.limit)
        try await RequestDeadline.within(limit) { () async throws(CNIError) in
            try await attach(deliver: deliver, deadline: Deadline(after: limit))
        }
    }

    private func attach(
        deliver: (NetworkResult) throws(CNIError) -> Void,
        deadline: Deadline
    ) async throws(CNIError) {
        let configuration = call.configuration
        let runtime = try configuration.runtimeConfiguration()
        let previous = try configuration.previousResult()
        let routes = try RouteSettings(configuration)
        let gates = try ReadinessGates(configuration.reader)
        let policy = try PolicySetup(configuration.reader)
        // A word that DEL would refuse must not let a pod come into being.
        _ = try DeleteMode(configuration.reader)
        let resolver = try configuration.resolver()
        if let mac = runtime.mac, mac.isMulticast {
            throw CNIError(.invalidConfiguration, "\"runtimeConfig.mac\" is \(mac), which is a group's")
        }
        let link = try PodLink(call, prefixes: prefixes)
        let likely = try likelyFamilies(runtime)
        // A DEL of the same pod does not have to wait for them.
        try await gates.wait(call.log)
        let lock = try PodNamespaceLock(namespacePath, until: Deadline(after: .seconds(9)))
        defer { withExtendedLifetime(lock) {} }
        let turn = delegate == nil ? call.turnToAssign() : nil
        let facts = try await call.readForAdd(likely)
        try facts.annotations.checkFloatingAddresses(configuration.reader)
        // D6: what an earlier DEL of this attachment left to be released is none of the addresses that it gets now.
        try await call.replay.settle(call.id)
        let wanted =
            delegate == nil
            ? try AddressSettings(
                configuration,
                arguments: call.attachment.arguments,
                annotations: facts.annotations
            ) : nil
        var settings = try link.settings(call, hasIPv6: wanted?.families.contains(.ipv6) ?? false)
        let stored = try await call.records.find(call.endpointKey)
        let recorded = stored?.endpoint
        try checkNetwork(of: recorded)
        // Without an endpoint of this container there is a handle only if an ADD was killed; its creation shows it.
        if !call.store.commitsAtomically, recorded?.id != call.id { call.store.assumeAbsent(.handle(call.handle)) }
        let mac = runtime.mac ?? facts.annotations.mac
        let plan = endpointPlan(stored, link, mac, facts)
        let source = try source(wanted, try await delegate?.forAdd(call), facts, plan)
        await call.replay.settleInPassing()

        var rollback = Rollback(log: call.log)
        do throws(CNIError) {
            let (grant, isRepeated) = try await addresses(source, link, recorded, deadline, &rollback)
            turn?.release()
            let current = grant.recorded ?? recorded
            let wantedMAC = grant.recorded?.link?.mac ?? mac
            var granted = grant.result
            let interfaces = try await connect(&granted, from: isRepeated ? nil : source, deadline) {
                (granted) throws(CNIError) in
                let addresses = granted.addresses.map(\.address.address)
                let families = Set(addresses.map(\.family))
                if delegate != nil { settings = try link.settings(call, hasIPv6: families.contains(.ipv6)) }
                return link.request(
                    namespacePath: namespacePath,
                    addresses: addresses,
                    settings,
                    mac: wantedMAC,
                    routes: routes.routes(granted: granted.routes, families)
                )
            }
            let addresses = granted.addresses.map(\.address.address)
            let endpoint = try call.endpoint(
                addresses,
                link: .init(hostInterfaceName: interfaces.host.name, mac: interfaces.container.mac),
                from: source.record(of: granted)
            ).adding(facts.annotations)
            if current != endpoint {
                try deadline.check(before: "the endpoint was recorded")
                rollback.add("take back the record of the endpoint") { [call] () async throws(CNIError) in
                    // What is in use does not lose its record because a repeated ADD fails.
                    if isRepeated, let recorded { return try await call.records.restore(recorded) }
                    try await call.records.remove(endpoint.key, of: endpoint.id)
                }
                try await call.record(endpoint, replacing: stored)
            }
            if !policy.isDone(for: endpoint) {
                call.log.warning("the agent has not told in \(policy.directory) that the pod's policy is in place")
            }
            var result = self.result(granted, interfaces)
            if let dns = [runtime.dns, resolver].first(where: { !$0.isEmpty }) { result.dns = dns }
            try deliver(previous?.merging(result) ?? result)
            call.log.info("attached \(listing(addresses)) at \(interfaces.host.name)")
        } catch {
            call.log.error("\(error)")
            await rollback.run()
            throw error
        }
    }

    /// What is read ahead for. What the API says of the Pod is not known yet.
    private func likelyFamilies(_ runtime: RuntimeConfiguration) throws(CNIError) -> Set<IPFamily> {
        guard delegate == nil else { return [] }
        let annotations = try PodAnnotations(pod: runtime.podAnnotations ?? [:], namespace: [:])
        do throws(CNIError) {
            let arguments = call.attachment.arguments
            return try AddressSettings(call.configuration, arguments: arguments, annotations: annotations).families
        } catch {
            // An annotation may mend it.
            guard call.objects != nil else { throw error }
            return [.ipv4]
        }
    }

    private func endpointPlan(
        _ stored: EndpointRecords.Stored?,
        _ link: PodLink,
        _ mac: MACAddress?,
        _ facts: WorkloadFacts
    ) -> EndpointPlan {
        // A link whose address is chosen here can be recorded before there is one.
        let planned = link.planned(mac: mac ?? .random())
        return EndpointPlan(stored: stored) { [call] (addresses) throws(CNIError) in
            try call.endpoint(addresses, link: planned).adding(facts.annotations)
        }
    }

    /// Throws code 7 when the container's interface is one of another network, whose DEL has to come first (3.5).
    private func checkNetwork(of recorded: WorkloadEndpoint?) throws(CNIError) {
        guard let recorded, recorded.id == call.id, recorded.network != call.configuration.name,
            !recorded.network.isEmpty
        else { return }
        throw CNIError(
            .invalidConfiguration,
            "container \(call.id.containerID) has an interface \(call.id.interfaceName) already",
            details: "on the network \(recorded.network.quoted)"
        )
    }

    private func source(
        _ wanted: AddressSettings?,
        _ delegate: IPAMDelegate?,
        _ facts: WorkloadFacts,
        _ plan: EndpointPlan
    ) throws(CNIError) -> any AddressSource {
        let own = plan.stored?.endpoint.id == call.id ? plan.stored?.endpoint : nil
        if let delegate {
            let annotations = facts.annotations
            guard annotations.addresses.isEmpty, annotations.addressesWithoutIPAM.isEmpty else {
                throw CNIError(
                    .invalidConfiguration,
                    "the Pod asks for addresses by an annotation, which \"ipam.type\" \(delegate.type.quoted) cannot give",
                    details: "\(AddressSettings.ownType) can"
                )
            }
            return DelegatedAddressSource(
                delegate: delegate,
                attachment: call.id,
                namespacePath: namespacePath,
                recorded: own
            )
        }
        if let wanted, !wanted.withoutIPAM.isEmpty {
            return FixedAddressSource(addresses: wanted.withoutIPAM, recorded: own)
        }
        return try BlockAddressSource(call, wanted, facts, recording: plan)
    }

    /// The addresses that the attachment has from before, when they are what is wanted, or else new ones; and whether it
    /// was complete with them, so that it stays whatever becomes of this ADD.
    private func addresses(
        _ source: any AddressSource,
        _ link: PodLink,
        _ recorded: WorkloadEndpoint?,
        _ deadline: Deadline,
        _ rollback: inout Rollback
    ) async throws(CNIError) -> (grant: Grant, isRepeated: Bool) {
        let held = try await source.held()
        let isComplete = recorded?.id == call.id && recorded.map { Set($0.addresses) } == Set(held)
        if isComplete, let granted = try source.granting(held) {
            // What is in use is not given back because some later step of a repeated ADD fails.
            return (Grant(result: granted), true)
        }
        // In this order, and the second only after the first: an address that a pod still answers to must not be given
        // to another.
        rollback.add("remove the link and release the addresses") {
            [call, link, namespacePath] () async throws(CNIError) in
            try link.remove(namespacePath: namespacePath, addresses: [])
            // The one of this ADD, or of the addresses that it had before, when something else was asked for.
            if call.store.commitsAtomically || recorded?.id == call.id {
                try await call.records.remove(call.endpointKey, of: call.id)
            }
            try await source.release()
        }
        if !held.isEmpty {
            call.log.info("an earlier ADD was cut short and left \(listing(held))")
            if let granted = try source.granting(held) { return (Grant(result: granted), false) }
            try link.remove(namespacePath: namespacePath, addresses: held)
            try await source.release()
        }
        try deadline.check(before: "addresses were assigned")
        return (try await source.assign(), false)
    }

    private static let exchanges = 3

    /// Puts the link in place. An address that the host has a route for to elsewhere is exchanged where any other will do
    /// as well (4.3, C8).
    ///
    /// - Parameter source: gives others; `nil` for addresses that are in use.
    private func connect(
        _ granted: inout NetworkResult,
        from source: (any AddressSource)?,
        _ deadline: Deadline,
        _ request: (NetworkResult) throws(CNIError) -> PodNetworkRequest
    ) async throws(CNIError) -> PodInterfaces {
        var exchanges = 0
        while true {
            try deadline.check(before: "the link was made")
            let request = try request(granted)
            do throws(PodNetworkError) {
                let interfaces = try PodNetwork.attach(request)
                for warning in interfaces.warnings { call.log.warning(warning) }
                return interfaces
            } catch {
                guard case .routeConflict = error, let source, source.givesOthers, exchanges < Self.exchanges else {
                    throw CNIError(error)
                }
                call.log.warning("\(error); another address is taken")
            }
            exchanges += 1
            // It goes to the end of those that are free.
            try await source?.release()
            granted = try await source?.assign().result ?? granted
        }
    }

    /// The host's end first, then the container's, which has the addresses (3.4).
    private func result(_ granted: NetworkResult, _ interfaces: PodInterfaces) -> NetworkResult {
        var result = granted
        result.interfaces = [
            .init(name: interfaces.host.name, mac: interfaces.host.mac.description, mtu: interfaces.host.mtu),
            .init(
                name: interfaces.container.name,
                mac: interfaces.container.mac.description,
                mtu: interfaces.container.mtu,
                sandbox: namespacePath
            ),
        ]
        result.addresses = granted.addresses.map { .init($0.address, interface: 1) }
        result.routes = interfaces.routes.map { route in
            .init(route.destination, gateway: route.gateway, mtu: route.mtu, priority: route.priority.map(Int.init))
        }
        return result
    }
}
