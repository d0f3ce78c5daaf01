import ClusterClient
import NetworkTypes

/// What an assignment is decided on: settings, pools, the host's affinities and the container's handle, read at once.
struct ClusterSnapshot {
    let configuration: IPAMConfiguration
    /// Every pool that can be read, by name.
    let pools: [IPPool]
    let unreadablePools: [UnreadableRecord]
    let reserved: ReservedRanges
    let handle: StoredHandle
    /// The host's, by prefix.
    let affinities: [IPFamily: [StoredAffinity]]

    func pool(of address: IPAddress) -> IPPool? { pools.first { $0.cidr.contains(address) } }
}

extension Allocator {
    /// What ``assign(_:)``, ``ensurePools(_:)`` and ``addresses(ofHandle:interface:)`` read before they know any block, for
    /// those who read ahead (``ReadAheadDatastore``).
    public func firstQueries(handle: String, _ families: Set<IPFamily>) -> [RecordQuery] {
        let families = families.sorted { $0.rawValue < $1.rawValue }
        let queries: [RecordQuery] = [
            .record(IPAMConfiguration.recordKey), .record(ClusterInformation.recordKey("default")),
            .collection(.resources(.ipPools)), .collection(.resources(.ipReservations)), .record(.handle(handle)),
        ]
        return queries + families.map { .collection(.blockAffinities(owner, $0)) }
    }

    /// Reads everything that assigning to a handle depends on, except blocks.
    func snapshot(handle: String, _ families: Set<IPFamily>) async throws(AttemptError) -> ClusterSnapshot {
        let queries = firstQueries(handle: handle, families)
        let families = families.sorted { $0.rawValue < $1.rawValue }
        let answers = try await read(queries)
        return try deciding { () throws(IPAMError) in
            if let record = answers[1].first { try ClusterInformation(record).requireReady() }
            var affinities: [IPFamily: [StoredAffinity]] = [:]
            for (index, family) in families.enumerated() {
                for record in answers[queries.count - families.count + index] {
                    if let affinity = try StoredAffinity(record) { affinities[family, default: []].append(affinity) }
                }
            }
            let pools = PoolList(answers[2])
            return ClusterSnapshot(
                configuration: try answers[0].first.map { (r) throws(IPAMError) in try IPAMConfiguration(r) }
                    ?? IPAMConfiguration(),
                pools: pools.pools,
                unreadablePools: pools.unreadable,
                reserved: try ReservedRanges(reservations: answers[3]),
                handle: try StoredHandle(id: handle, answers[4].first),
                affinities: affinities
            )
        }
    }

    /// The pools that may serve a request (P2 to P5). Throws when there are none, with the reason.
    func candidatePools(
        _ request: AssignmentRequest,
        _ family: IPFamily,
        _ snapshot: ClusterSnapshot
    ) async throws(AttemptError) -> [IPPool] {
        let enabled = snapshot.pools.filter { $0.family == family && $0.isEnabled }
        // A pool that cannot be read might have been the one.
        func nothing(_ problem: String) -> AttemptError {
            let unreadable = snapshot.unreadablePools
            return .failed(unreadable.isEmpty ? .noPool(problem) : .inconsistent(problem + unreadable.note))
        }
        var candidates: [IPPool] = []
        if !request.pools(family).isEmpty {
            for wanted in request.pools(family) {
                guard let pool = enabled.first(where: { $0.name == wanted || CIDR(wanted)?.masked == $0.cidr }) else {
                    throw nothing("the \(family) pool \(wanted) does not exist, or is not enabled")
                }
                if !candidates.contains(pool) { candidates.append(pool) }
            }
        } else {
            let labels = try await nodeLabels(neededFor: enabled)
            candidates = try deciding { () throws(IPAMError) in
                var matching: [IPPool] = []
                for pool in enabled {
                    let refusals = try pool.selectionRefusals(
                        nodeLabels: labels,
                        namespaceLabels: request.namespaceLabels
                    )
                    if refusals.isEmpty { matching.append(pool) }
                }
                return matching
            }
            guard !candidates.isEmpty else {
                throw nothing("no configured \(family) pools for node \(host)")
            }
        }
        candidates = candidates.filter { $0.useRefusal(request.use) == nil }
        guard !candidates.isEmpty else {
            throw nothing("no qualified \(family) pool: none allows use \(request.use.rawValue)")
        }
        return candidates
    }

    /// The labels of this host's Node; none when there is no such record or no pool asks for any.
    func nodeLabels(neededFor pools: [IPPool]) async throws(AttemptError) -> [String: String] {
        guard pools.contains(where: { (try? Selector($0.spec.nodeSelector)) != .all }) else { return [:] }
        guard let record = try await read([.record(NodeResource.recordKey(host))]).first?.first else { return [:] }
        return try deciding { () throws(IPAMError) in try NodeResource(record).labels }
    }
}

extension RecordOperations {
    static func matches(_ selector: String, _ labels: [String: String], _ pool: IPPool) throws(IPAMError) -> Bool {
        do throws(SelectorError) {
            return try Selector(selector).matches(labels)
        } catch {
            throw .inconsistent("IP pool \(pool.name): \(error)")
        }
    }
}
