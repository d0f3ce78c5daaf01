import CNI
import ClusterClient
import NetworkTypes
import PodNetwork

/// ADD: addresses from IPAM, a link with them, a record of both, and the result; or nothing at all.
///
/// Repeating an ADD that succeeded changes nothing and gives the same result, and one that was killed is finished
/// (3.5): the addresses that the attachment has are taken again, and PodNetwork leaves what is right as it is.
struct AddVerb {
    /// Calls that take longer have lost their runtime (3.11).
    private static let limit = Duration.seconds(60)

    let call: Call
    let link: PodLink
    let namespacePath: String

    /// - Parameter deliver: gives the result to the runtime; when it throws, the ADD is undone.
    func run(deliver: (NetworkResult) throws(CNIError) -> Void) async throws(CNIError) {
        let deadline = Deadline(after: Self.limit)
        let wanted = try AddressSettings(call.configuration, arguments: call.attachment.arguments)
        let runtime = try call.configuration.runtimeConfiguration()
        let previous = try call.configuration.previousResult()
        let settings = try LinkSettings(
            call.configuration.reader,
            mtuFile: call.settings.mtuFile,
            hasIPv6: wanted.families.contains(.ipv6)
        )
        if let mac = runtime.mac, mac.isMulticast {
            throw CNIError(.invalidConfiguration, "\"runtimeConfig.mac\" is \(mac), which is a group's")
        }
        let source = try BlockAddressSource(call, wanted)
        let lock = try PodNamespaceLock(namespacePath, until: Deadline(after: .seconds(9)))
        defer { withExtendedLifetime(lock) {} }
        try await source.readAhead()
        let stored = try await call.records.find(call.endpointKey)
        let recorded = stored?.endpoint
        // Without an endpoint of this container there is a handle only if an ADD was killed; its creation shows it.
        if !call.store.commitsAtomically, recorded?.id != call.id { call.store.assumeAbsent(.handle(call.handle)) }

        var rollback = Rollback(log: call.log)
        do throws(CNIError) {
            let granted = try await addresses(wanted, source, recorded, deadline, &rollback)
            let addresses = granted.addresses.map(\.address.address)
            try deadline.check(before: "the link was made")
            let interfaces = try attach(addresses, settings, mac: runtime.mac)
            let endpoint = call.endpoint(
                addresses,
                link: .init(hostInterfaceName: interfaces.host.name, mac: interfaces.container.mac)
            )
            if recorded != endpoint {
                try deadline.check(before: "the endpoint was recorded")
                rollback.add("remove the record of the endpoint") { [call] () async throws(CNIError) in
                    try await call.records.remove(endpoint.key, of: endpoint.id)
                }
                try await call.records.put(endpoint, replacing: stored)
            }
            var result = self.result(granted, interfaces)
            if !runtime.dns.isEmpty { result.dns = runtime.dns }
            try deliver(previous?.merging(result) ?? result)
            call.log.info("attached \(listing(addresses)) at \(interfaces.host.name)")
        } catch {
            call.log.error("\(error)")
            await rollback.run()
            throw error
        }
    }

    /// The addresses that the attachment has from before, when they are what is wanted, or else new ones.
    private func addresses(
        _ wanted: AddressSettings,
        _ source: any AddressSource,
        _ recorded: WorkloadEndpoint?,
        _ deadline: Deadline,
        _ rollback: inout Rollback
    ) async throws(CNIError) -> NetworkResult {
        let held = try await source.held()
        let isComplete = recorded?.id == call.id && recorded.map { Set($0.addresses) } == Set(held)
        if isComplete, wanted.areMet(by: held) {
            // What is in use is not given back because some later step of a repeated ADD fails.
            return NetworkResult(addresses: held.map { .init($0.hostPrefix) })
        }
        // In this order, and the second only after the first: an address that a pod still answers to must not be given
        // to another.
        rollback.add("remove the link and release the addresses") {
            [link, namespacePath] () async throws(CNIError) in
            try link.remove(namespacePath: namespacePath, addresses: [])
            try await source.release()
        }
        if !held.isEmpty {
            call.log.info("an earlier ADD was cut short and left \(listing(held))")
            if wanted.areMet(by: held) { return NetworkResult(addresses: held.map { .init($0.hostPrefix) }) }
            try link.remove(namespacePath: namespacePath, addresses: held)
            try await source.release()
        }
        try deadline.check(before: "addresses were assigned")
        return try await source.assign()
    }

    private func attach(
        _ addresses: [IPAddress],
        _ settings: LinkSettings,
        mac: MACAddress?
    ) throws(CNIError) -> PodInterfaces {
        do throws(PodNetworkError) {
            let interfaces = try PodNetwork.attach(
                link.request(namespacePath: namespacePath, addresses: addresses, settings, mac: mac)
            )
            for warning in interfaces.warnings { call.log.warning(warning) }
            return interfaces
        } catch {
            throw CNIError(error)
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
