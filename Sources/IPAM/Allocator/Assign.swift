import ClusterClient
import NetworkTypes

extension Allocator {
    /// Assigns what the request asks for, all of it or nothing (P12).
    ///
    /// Addresses that the same handle already has for the same interface count, so that repeating a request whose
    /// answer was lost changes nothing (X7). They come back in the order: requested ones, then IPv4, then IPv6.
    ///
    /// - Parameter beside: what else is to be written when the addresses are; on a store with transactions it is in the same
    ///   one. It is asked anew at each attempt, the last answer counts, and a revision in it that is not the store's any more
    ///   makes for another attempt. On a store without transactions nobody asks.
    public func assign(
        _ request: AssignmentRequest,
        beside: ([AssignedAddress]) async throws(DatastoreError) -> [RecordChange] = { (_) throws(DatastoreError) in
            []
        }
    ) async throws(IPAMError) -> [AssignedAddress] {
        try check(request)
        var families = Set(request.requested.map(\.family))
        if request.ipv4 > 0 { families.insert(.ipv4) }
        if request.ipv6 > 0 { families.insert(.ipv6) }
        var written: [ReleaseOptions] = []
        do throws(IPAMError) {
            let (draft, unusable) = try await attempting {
                () async throws(AttemptError) -> (AssignmentDraft, [CIDR]) in
                let snapshot = try await snapshot(handle: request.handle, families)
                var draft = AssignmentDraft(request, snapshot, now: clock.now())
                var unusable: [CIDR] = []
                try await loadBlocks(of: snapshot.handle, into: &draft)
                let existing = draft.existing
                for address in request.requested { try await assign(address, existing, &draft) }
                for family in IPFamily.allCases where request.count(family) > 0 {
                    let candidates = try await candidatePools(request, family, snapshot)
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
                try await write(draft, beside, &written)
                return (draft, unusable)
            }
            for record in draft.leftOut { leaveOut(record) }
            for block in unusable { await giveUpUnselected(block) }
            return draft.result
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
        for (cidr, records) in zip(unknown, answers) { draft.add(cidr, records.first) }
    }

    /// Reads the blocks that the container has addresses in. Without knowing them all it might be given more.
    private func loadBlocks(
        of handle: StoredHandle,
        into draft: inout AssignmentDraft
    ) async throws(AttemptError) {
        let blocks = handle.handle.blocks.keys.sorted()
        try await load(blocks, into: &draft)
        for cidr in blocks {
            if case .unreadable(let record) = draft.known(cidr) { throw .failed(.inconsistent(record.problem)) }
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
            let note = draft.snapshot.unreadablePools.note
            throw .failed(.addressUnavailable(address, "is in no enabled pool" + note))
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
        switch draft.known(cidr) {
        case nil, .absent:
            draft.create(cidr, for: owner, affinity)
        case .unreadable(let record):
            throw .failed(.inconsistent(record.problem))
        case .block(let stored):
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
                if attribute.isSucceeded(by: draft.request.attribute) {
                    return try await takeOver(ordinal, of: cidr, from: attribute, &draft)
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

    /// Takes an address from the container that was in this one's place and is no more (C16, S4).
    private func takeOver(
        _ ordinal: Int,
        of cidr: CIDR,
        from attribute: Block.Attribute,
        _ draft: inout AssignmentDraft
    ) async throws(AttemptError) {
        var predecessor: StoredHandle?
        if let id = attribute.handle, id != draft.request.handle {
            let record = try await read([.record(.handle(id))]).first?.first
            // One that cannot be read keeps counting too much, which a handle may.
            predecessor = record.flatMap { try? StoredHandle(id: id, $0) }
        }
        draft.takeOver(ordinal, of: cidr, from: predecessor)
    }
}

extension Block.Attribute {
    /// Whether an address of this owner goes to the other, which is the same interface of the same Pod on the same node,
    /// in a new sandbox. A Pod has one sandbox at a time, so that the address is nobody's any more; its DEL was never
    /// made, as the node lost power (projectcalico/calico issue 11358).
    fileprivate func isSucceeded(by other: Block.Attribute) -> Bool {
        guard releasedAt == nil, handle != other.handle else { return false }
        let isSame = ["pod", "namespace", "node"].allSatisfy {
            secondary[$0] != nil && secondary[$0] == other.secondary[$0]
        }
        // Calico notes no interface, as a Pod has only one of its.
        let interface = secondary[Block.interfaceAttribute]
        return isSame && (interface == nil || interface == other.secondary[Block.interfaceAttribute])
    }
}
