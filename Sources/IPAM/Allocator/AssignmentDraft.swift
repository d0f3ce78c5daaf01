import ClusterClient
import KubernetesAPI
import NetworkTypes

/// What one attempt at an assignment will write: nothing is written before all of it is decided.
struct AssignmentDraft {
    /// What was found where a block may be.
    enum Finding {
        case absent
        case block(StoredBlock)
        /// Not to be written to, nor to be made anew.
        case unreadable(UnreadableRecord)
    }

    /// An affinity that will be ours when the draft is committed.
    struct Claim {
        /// As it was read; `nil` when it is to be created.
        let existing: StoredAffinity?
    }

    let request: AssignmentRequest
    let snapshot: ClusterSnapshot
    let now: Timestamp
    /// Every block that was read or will be made.
    private(set) var blocks: [CIDR: StoredBlock] = [:]
    /// Blocks that were looked for and do not exist.
    private var absent: Set<CIDR> = []
    /// Blocks that cannot be read, or contradict themselves.
    private var unreadable: [CIDR: UnreadableRecord] = [:]
    private(set) var claims: [CIDR: Claim] = [:]
    /// Affinities of other hosts whose empty blocks were taken over.
    private(set) var revoked: [StoredAffinity] = []
    /// The addresses assigned in this attempt, by block.
    private(set) var assigned: [CIDR: [Int]] = [:]
    private(set) var addresses: [IPAddress] = []
    /// Handles of containers that were in this one's place, with what is left to them.
    private(set) var predecessors: [String: StoredHandle] = [:]

    init(_ request: AssignmentRequest, _ snapshot: ClusterSnapshot, now: Timestamp) {
        self.request = request
        self.snapshot = snapshot
        self.now = now
    }

    /// What is known of a block: `nil` when it was not read yet.
    func known(_ cidr: CIDR) -> Finding? {
        if let block = blocks[cidr] { return .block(block) }
        if let problem = unreadable[cidr] { return .unreadable(problem) }
        return absent.contains(cidr) ? .absent : nil
    }

    /// Takes note of a block that was read. Addresses that have cooled down become free (R9).
    mutating func add(_ cidr: CIDR, _ record: Record?) {
        guard blocks[cidr] == nil else { return }
        guard let record else {
            absent.insert(cidr)
            return
        }
        do throws(IPAMError) {
            var stored = try StoredBlock(record)
            stored.block.endCooldowns(now: now, cooldown: snapshot.configuration.cooldown)
            blocks[cidr] = stored
        } catch {
            unreadable[cidr] = UnreadableRecord(record.key, error)
        }
    }

    /// What was left out because it cannot be read.
    var leftOut: [UnreadableRecord] {
        snapshot.unreadablePools + unreadable.values.sorted { $0.key < $1.key }
    }

    /// Makes a block that does not exist, for this owner.
    mutating func create(_ cidr: CIDR, for owner: BlockOwner, _ existing: StoredAffinity?) {
        absent.remove(cidr)
        blocks[cidr] = StoredBlock(new: Block(cidr: cidr, affinity: owner, now: now))
        claims[cidr] = Claim(existing: existing)
    }

    /// Makes the affinity of a block that is ours already, or should be, a confirmed one (A5).
    mutating func confirm(_ cidr: CIDR, _ existing: StoredAffinity?) {
        guard existing?.state != .confirmed else { return }
        claims[cidr] = Claim(existing: existing)
    }

    /// Takes over an empty block.
    mutating func takeOver(_ cidr: CIDR, for owner: BlockOwner, from revoked: StoredAffinity?, _ own: StoredAffinity?) {
        guard var stored = blocks[cidr], stored.block.isEmpty else { return }
        stored.block.affinity = owner
        stored.block.affinityClaimTime = now.wholeSecond
        blocks[cidr] = stored
        claims[cidr] = Claim(existing: own)
        if let revoked { self.revoked.append(revoked) }
    }

    /// Takes up to `count` addresses of a block for the request; how many it got.
    mutating func assign(_ count: Int, from cidr: CIDR) -> Int {
        guard var stored = blocks[cidr] else { return 0 }
        let ordinals = stored.block.assign(count: count, to: request.attribute, reserved: snapshot.reserved)
        guard !ordinals.isEmpty else { return 0 }
        blocks[cidr] = stored
        take(ordinals, of: stored.block)
        return ordinals.count
    }

    /// Takes one certain address; `false` when it is not free.
    mutating func assign(_ address: IPAddress, from cidr: CIDR) -> Bool {
        guard var stored = blocks[cidr], let ordinal = stored.block.ordinal(of: address),
            stored.block.assign(ordinal: ordinal, to: request.attribute)
        else { return false }
        blocks[cidr] = stored
        take([ordinal], of: stored.block)
        return true
    }

    /// Takes an address over from the container that was in this one's place (C16); `predecessor` is that one's handle.
    mutating func takeOver(_ ordinal: Int, of cidr: CIDR, from predecessor: StoredHandle?) {
        guard var stored = blocks[cidr] else { return }
        stored.block.reassign(ordinal: ordinal, to: request.attribute)
        blocks[cidr] = stored
        take([ordinal], of: stored.block)
        guard var predecessor = predecessors[predecessor?.id ?? ""] ?? predecessor,
            let count = predecessor.handle.blocks[cidr]
        else { return }
        predecessor.handle.blocks[cidr] = max(0, count - 1)
        predecessors[predecessor.id] = predecessor
    }

    private mutating func take(_ ordinals: [Int], of block: Block) {
        assigned[block.cidr, default: []] += ordinals
        addresses += ordinals.map(block.address)
    }

    /// Counts an address that the handle had before.
    mutating func keep(_ address: IPAddress) { addresses.append(address) }

    /// The addresses that the request's container and interface have in the blocks read so far.
    var existing: [IPAddress] {
        blocks.values.sorted { $0.block.cidr < $1.block.cidr }.flatMap { stored in
            stored.block.ordinals(handle: request.handle, interface: request.interface)
                .filter { !(assigned[stored.block.cidr]?.contains($0) ?? false) }
                .map(stored.block.address)
        }
    }

    /// The blocks that change, in order.
    var changedBlocks: [StoredBlock] {
        assigned.keys.sorted().compactMap { blocks[$0] }
    }

    /// The handle with what it gained.
    ///
    /// - Parameter exactly: whether counts are set to what the blocks say, which needs blocks and handle to be written
    ///   in one transaction; otherwise what is assigned comes on top of what was counted before (P10).
    func handle(exactly: Bool) -> StoredHandle {
        var stored = snapshot.handle
        for (cidr, ordinals) in assigned {
            guard !ordinals.isEmpty, let block = blocks[cidr]?.block else { continue }
            stored.handle.blocks[cidr] =
                exactly
                ? block.ordinals(handle: request.handle, interface: nil).count
                : max(0, stored.handle.blocks[cidr] ?? 0) + ordinals.count
        }
        return stored
    }

    /// The addresses of the request, as the blocks have them.
    var result: [AssignedAddress] {
        addresses.compactMap { address in
            guard let stored = blocks.values.first(where: { $0.block.cidr.contains(address) }) else { return nil }
            return AssignedAddress(address, in: stored.block, snapshot.pools)
        }
    }
}

extension AssignedAddress {
    /// `nil` when the address is not assigned.
    init?(_ address: IPAddress, in block: Block, _ pools: [IPPool]) {
        guard let ordinal = block.ordinal(of: address), let attribute = block.attribute(ordinal),
            attribute.releasedAt == nil
        else { return nil }
        self.address = address
        pool = pools.first { $0.cidr.contains(address) }?.name ?? ""
        self.block = block.cidr
        handle = attribute.handle ?? ""
        attributes = attribute.secondary
        sequenceNumber = block.sequenceNumber(of: ordinal)
    }
}
