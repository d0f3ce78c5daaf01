import ClusterClient
import NetworkTypes

extension Allocator {
    /// Assigns what the request asks for, all of it or nothing (P12).
    ///
    /// Addresses that the same handle already has for the same interface count, so that repeating a request whose
    /// answer was lost changes nothing (X7). They come back in the order: requested ones, then IPv4, then IPv6.
    public func assign(_ request: AssignmentRequest) async throws(IPAMError) -> [AssignedAddress] {
        try check(request)
        var families = Set(request.requested.map(\.family))
        if request.ipv4 > 0 { families.insert(.ipv4) }
        if request.ipv6 > 0 { families.insert(.ipv6) }
        var written: [ReleaseOptions] = []
        do throws(IPAMError) {
            let (result, unusable) = try await attempting {
                () async throws(AttemptError) -> ([AssignedAddress], [CIDR]) in
                let snapshot = try await snapshot(handle: request.handle, families)
                var draft = AssignmentDraft(request, snapshot, now: clock.now())
                var unusable: [CIDR] = []
                try await load(snapshot.handle.handle.blocks.keys.sorted(), into: &draft)
                let existing = draft.existing
                for address in request.requested { try await assign(address, existing, &draft) }
                for family in IPFamily.allCases where request.count(family) > 0 {
                    let candidates = try await candidatePools(request, family, snapshot.pools)
                    unusable += unusableBlocks(family, snapshot, candidates)
                    var count = request.count(family)
                    for address in existing where count > 0 && address.family == family {
                        guard !request.requested.contains(address),
                            candidates.contains(where: { $0.cidr.contains(address) })
                        else { continue }
                        draft.keep(address)
                        count -= 1
                    }
                    if count > 0 { try await choose(count, family, candidates, &draft) }
                }
                try await write(draft, &written)
                return (draft.result, unusable)
            }
            for block in unusable { await giveUpUnselected(block) }
            return result
        } catch {
            // All or nothing: on a store without transactions some of it may have been written.
            await takeBack(written)
            throw error
        }
    }

    private func check(_ request: AssignmentRequest) throws(IPAMError) {
        guard !request.handle.isEmpty else { throw .invalidRequest("the handle is empty") }
        guard !host.isEmpty, !host.utf8.contains(UInt8(ascii: "/")) else {
            throw .invalidRequest("\"\(host)\" cannot be the name of a node")
        }
        guard (0...4096).contains(request.ipv4), (0...4096).contains(request.ipv6) else {
            throw .invalidRequest("between 0 and 4096 addresses of a family can be assigned at once")
        }
        guard Set(request.requested).count == request.requested.count else {
            throw .invalidRequest("the same address is requested twice")
        }
    }

    /// Reads blocks that are not known yet.
    func load(_ blocks: [CIDR], into draft: inout AssignmentDraft) async throws(AttemptError) {
        let unknown = blocks.filter { draft.known($0) == nil }
        guard !unknown.isEmpty else { return }
        let answers = try await read(unknown.map { .record(.block($0)) })
        for index in unknown.indices {
            do throws(IPAMError) {
                try draft.add(unknown[index], answers[index].first)
            } catch {
                throw .failed(error)
            }
        }
    }

    /// Assigns one certain address (2.6).
    private func assign(
        _ address: IPAddress,
        _ existing: [IPAddress],
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) {
        if existing.contains(address) {
            draft.keep(address)
            return
        }
        guard let pool = draft.snapshot.pool(of: address), pool.isEnabled else {
            throw .failed(.addressUnavailable(address, "is in no enabled pool"))
        }
        guard pool.spec.allowedUses.contains(draft.request.use) else {
            throw .failed(
                .addressUnavailable(
                    address,
                    "is in pool \(pool.name), which does not allow use \(draft.request.use.rawValue)"
                )
            )
        }
        let cidr = pool.block(of: address)
        try await load([cidr], into: &draft)
        let affinity = draft.snapshot.affinities[address.family]?.first { $0.cidr == cidr }
        switch draft.known(cidr) ?? nil {
        case nil:
            draft.create(cidr, for: owner, affinity)
        case let stored?:
            if stored.block.affinity == owner {
                draft.confirm(cidr, affinity)
            } else if draft.snapshot.configuration.strictAffinity {
                let holder = stored.block.affinity.map { "belongs to \($0)" } ?? "belongs to no host"
                throw .failed(
                    .strictAffinity(
                        .init(
                            family: address.family,
                            requested: 1,
                            available: 0,
                            reasons: ["strict affinity: block \(cidr) of \(address) \(holder)"]
                        )
                    )
                )
            }
            if let ordinal = stored.block.ordinal(of: address), let attribute = stored.block.attribute(ordinal) {
                // The handle record may be lost (S3): the block is the truth.
                if attribute.releasedAt == nil, attribute.handle == draft.request.handle,
                    stored.block.ordinals(handle: draft.request.handle, interface: draft.request.interface)
                        .contains(ordinal)
                {
                    draft.keep(address)
                    return
                }
                let reason =
                    attribute.releasedAt.map { "was released at \($0) and may not be used again yet" }
                    ?? "is already assigned to handle \(attribute.handle ?? "<none>")"
                throw .failed(.addressUnavailable(address, reason))
            }
        }
        guard draft.assign(address, from: cidr) else {
            throw .failed(.inconsistent("block \(cidr): \(address) is neither assigned nor free"))
        }
    }
}
