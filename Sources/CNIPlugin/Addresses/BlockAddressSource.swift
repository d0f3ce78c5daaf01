import CNI
import ClusterClient
import FoundationEssentials
import IPAM
import JSON
import NetworkTypes

/// Addresses from Swiftlet's own IPAM: blocks of pools, in the store of this node.
struct BlockAddressSource: AddressSource {
    private let call: Call
    private let allocator: Allocator
    private let wanted: AddressSettings?
    private let request: AssignmentRequest?
    private let pools: [IPPool]
    private let plan: EndpointPlan?
    private let recentBlocks: [CIDR]

    /// - Parameters:
    ///   - wanted: what ``assign()`` takes; `nil` for verbs that take nothing, which then work with a configuration whose
    ///     pools are broken (D8).
    ///   - facts: what an ADD has read: what pools select namespaces by, and the blocks that are noted.
    ///   - plan: what is recorded of the attachment, for a store that can do so in one transaction.
    init(
        _ call: Call,
        _ wanted: AddressSettings?,
        _ facts: WorkloadFacts = WorkloadFacts(),
        recording plan: EndpointPlan? = nil
    ) throws(CNIError) {
        self.call = call
        self.wanted = wanted
        self.plan = plan
        recentBlocks = facts.recentBlocks
        allocator = Allocator(
            datastore: call.store,
            host: call.node,
            leaveOut: { call.log.warning("did without what cannot be read: \($0)") }
        )
        guard let wanted else {
            request = nil
            pools = []
            return
        }
        pools = try Self.configuredPools(call.configuration)
        // `ifname` and `network` are not Calico's: they tell attachments of one container apart, and whose GC may
        // release the address.
        var attributes = [
            "node": call.node, "timestamp": PluginLog.timestamp(), "ifname": call.id.interfaceName,
            "network": call.configuration.name,
        ]
        if case .pod(let pod) = call.workload {
            attributes["pod"] = pod.name
            attributes["namespace"] = pod.namespace
        }
        func count(_ family: IPFamily) -> Int { wanted.requested.isEmpty && wanted.families.contains(family) ? 1 : 0 }
        request = AssignmentRequest(
            handle: call.handle,
            attributes: attributes,
            ipv4: count(.ipv4),
            ipv6: count(.ipv6),
            ipv4Pools: wanted.pools[.ipv4] ?? [],
            ipv6Pools: wanted.pools[.ipv6] ?? [],
            requested: wanted.requested,
            namespaceLabels: facts.namespaceLabels
        )
    }

    /// The pools of `ipam.pools`. Throws code 6 for one of a wrong shape.
    static func configuredPools(_ configuration: NetworkConfiguration) throws(CNIError) -> [IPPool] {
        guard let ipam = try configuration.ipam() else { return [] }
        var pools: [IPPool] = []
        for entry in try ipam.objects("pools") ?? [] {
            do throws(MalformedRecord) {
                let text = JSONValue.object(entry.object).text()
                pools.append(try IPPool(configured: Data(Array(text.utf8))))
            } catch {
                throw CNIError(.decodingFailure, "\"\(entry.path)\" is no pool", details: error.description)
            }
        }
        return pools
    }

    func held() async throws(CNIError) -> [IPAddress] {
        try await assignments().map(\.address)
    }

    /// What the attachment has, IPv4 first, with what is noted beside it.
    func assignments() async throws(CNIError) -> [AssignedAddress] {
        do throws(IPAMError) {
            return
                try await allocator
                .addresses(ofHandle: call.handle, interface: call.id.interfaceName, withPools: false)
                .sorted { $0.address < $1.address }
        } catch {
            // What cannot be stored has no addresses; a DEL for it is not refused (D1).
            if Self.isUnstorable(error) { return [] }
            throw CNIError(error)
        }
    }

    private static func isUnstorable(_ error: IPAMError) -> Bool {
        if case .datastore(let error) = error { error.reason == .invalidKey } else { false }
    }

    func granting(_ held: [IPAddress]) -> NetworkResult? {
        guard let wanted, wanted.areMet(by: held) else { return nil }
        return NetworkResult(addresses: held.map { .init($0.hostPrefix) })
    }

    var givesOthers: Bool { wanted?.requested.isEmpty ?? false }

    func record(of granted: NetworkResult) -> WorkloadEndpoint.Source { .own }

    func assign() async throws(CNIError) -> Grant {
        guard let request else {
            throw CNIError(.internal, "no addresses are wanted")
        }
        // In a cluster pools are Kubernetes objects, which its operator makes.
        if case .kubernetes = call.settings.selection {} else { try await makePools() }
        do throws(IPAMError) {
            var recorded: WorkloadEndpoint?
            let assigned = try await allocator.assign(request) { (assigned) async throws(DatastoreError) in
                recorded = nil
                guard let plan, let endpoint = try? plan.endpoint(assigned.map(\.address)),
                    // What got in between has to be looked at first, which is not done here.
                    try await call.store.get(endpoint.key)?.revision == plan.stored?.revision
                else { return [] }
                recorded = endpoint
                return [EndpointRecords.change(endpoint, replacing: plan.stored?.revision)]
            }
            var blocks = call.store.found.compactMap { key in if case .block(let cidr) = key { cidr } else { nil } }
            for address in assigned where !blocks.contains(address.block) { blocks.append(address.block) }
            call.settings.recentBlocks(call.configuration.name).note(blocks, replacing: recentBlocks)
            let result = NetworkResult(addresses: assigned.map { .init($0.address.hostPrefix) })
            return Grant(result: result, recorded: recorded)
        } catch {
            throw CNIError(error)
        }
    }

    /// Makes the pools of the configuration that are missing.
    private func makePools() async throws(CNIError) {
        do throws(IPAMError) {
            try await allocator.ensurePools(pools)
        } catch {
            throw Self.refusal(error)
        }
    }

    /// The pools of the configuration that ADD would make; throws what it would throw of the others.
    static func missing(_ pools: [IPPool], in stored: PoolList) throws(CNIError) -> [IPPool] {
        do throws(IPAMError) {
            return try Allocator.missing(pools, in: stored)
        } catch {
            throw refusal(error)
        }
    }

    /// With what to do about a pool of the configuration that cannot be made: one may have been split or replaced.
    private static func refusal(_ error: IPAMError) -> CNIError {
        guard case .invalidPool = error else { return CNIError(error) }
        let remedy = "\"ipam.pools\" has to agree with the pools that there are: swiftletctl get ippools"
        return CNIError(.invalidConfiguration, "\(error)", details: remedy)
    }

    func release() async throws(CNIError) {
        _ = try await release { () throws(DatastoreError) in nil }
    }

    /// Gives back all that the attachment has, and removes its record in the same transaction.
    ///
    /// - Parameter removal: what removes the record; `nil` where there is none.
    /// - Returns: `false` when that may not have happened: there was nothing to give back, or the store has no transactions.
    func release(beside removal: () async throws(DatastoreError) -> RecordChange?) async throws(CNIError) -> Bool {
        var attempts = 0
        do throws(IPAMError) {
            let interface = call.id.interfaceName
            _ = try await allocator.release(handle: call.handle, interface: interface) { () throws(DatastoreError) in
                attempts += 1
                return try await removal().map { [$0] } ?? []
            }
        } catch {
            guard Self.isUnstorable(error) else { throw CNIError(error) }
        }
        // Of several attempts an earlier one may have been the one that was carried out.
        return attempts == 1
    }
}
