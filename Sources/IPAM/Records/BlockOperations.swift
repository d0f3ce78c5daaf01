import ClusterClient
import KubernetesAPI
import NetworkTypes

// What may be done to a block (P10, S3, R2, R3, R9, R10). All of it is on the value; writing it is someone else's
// concern.

extension Block {
    /// Takes up to `count` addresses from the head of the queue; reserved ones keep their place in it.
    ///
    /// - Returns: the ordinals that were assigned, fewer than asked for when the block has no more.
    public mutating func assign(count: Int, to attribute: Attribute, reserved: ReservedRanges = .none) -> [Int] {
        guard count > 0, !unallocated.isEmpty else { return [] }
        var taken: [Int] = []
        let hasReserved = reserved.intersects(cidr)
        for ordinal in unallocated {
            if hasReserved, reserved.contains(address(ordinal)) { continue }
            taken.append(ordinal)
            if taken.count == count { break }
        }
        guard !taken.isEmpty else { return [] }
        if unallocated.starts(with: taken) {
            unallocated.removeFirst(taken.count)
        } else {
            unallocated.removeAll(where: taken.contains)
        }
        record(taken, attribute)
        return taken
    }

    /// Takes one certain address; `false` when it is assigned already or cools down (S3).
    public mutating func assign(ordinal: Int, to attribute: Attribute) -> Bool {
        guard let place = unallocated.firstIndex(of: ordinal), allocations[ordinal] == nil else { return false }
        unallocated.remove(at: place)
        record([ordinal], attribute)
        return true
    }

    /// Gives an address that is assigned to another owner, as a new assignment.
    mutating func reassign(ordinal: Int, to attribute: Attribute) {
        guard self.attribute(ordinal) != nil else { return }
        record([ordinal], attribute)
        removeUnusedAttributes()
    }

    /// How many addresses may be assigned now.
    public func freeCount(reserved: ReservedRanges = .none) -> Int {
        guard reserved.intersects(cidr) else { return unallocated.count }
        return unallocated.count { !reserved.contains(address($0)) }
    }

    /// The sequence number with which an address was assigned; 0 when none was noted.
    public func sequenceNumber(of ordinal: Int) -> UInt64 { sequenceNumberForAllocation[ordinal] ?? 0 }

    /// Takes addresses back: at once to the tail of the queue, or after `cooldown` (R3).
    ///
    /// Ordinals that are free or cool down already are left as they are (R2).
    public mutating func release(_ ordinals: some Sequence<Int>, now: Timestamp, cooldown: Duration) {
        let released = Attribute(handleID: nil, releasedAt: now.wholeSecond)
        var index: Int?
        for ordinal in ordinals {
            guard let attribute = attribute(ordinal), attribute.releasedAt == nil else { continue }
            let place = index ?? add(released)
            index = place
            allocations[ordinal] = place
        }
        guard index != nil else { return }
        if cooldown <= .zero {
            free { $0 == released }
        } else {
            removeUnusedAttributes()
        }
    }

    /// Frees the addresses that have cooled down (R9); whether there were any.
    @discardableResult
    public mutating func endCooldowns(now: Timestamp, cooldown: Duration) -> Bool {
        guard attributes.contains(where: { $0.releasedAt != nil }) else { return false }
        return free { attribute in
            guard let releasedAt = attribute.releasedAt else { return false }
            return cooldown <= .zero || now - releasedAt > cooldown
        }
    }

    /// To be called once before each write: the number goes up, which makes every writer that read before lose.
    mutating func beginWrite() {
        sequenceNumber &+= 1
    }

    private mutating func record(_ ordinals: [Int], _ attribute: Attribute) {
        let index = add(attribute)
        for ordinal in ordinals {
            allocations[ordinal] = index
            sequenceNumberForAllocation[ordinal] = sequenceNumber
        }
    }

    private mutating func add(_ attribute: Attribute) -> Int {
        if let index = attributes.firstIndex(of: attribute) { return index }
        attributes.append(attribute)
        return attributes.count - 1
    }

    /// Puts the addresses whose attribute is chosen at the end of the queue, those released first in front.
    @discardableResult
    private mutating func free(where isChosen: (Attribute) -> Bool) -> Bool {
        let chosen = attributes.indices.filter { isChosen(attributes[$0]) }
        guard !chosen.isEmpty else { return false }
        let ordinals = allocations.indices.filter { allocations[$0].map(chosen.contains) ?? false }
            .map { ordinal in (attribute(ordinal)?.releasedAt ?? Timestamp(nanoseconds: 0), ordinal) }
            .sorted { $0 < $1 }
        for (_, ordinal) in ordinals {
            allocations[ordinal] = nil
            sequenceNumberForAllocation[ordinal] = nil
            unallocated.append(ordinal)
        }
        removeUnusedAttributes()
        return true
    }

    mutating func removeUnusedAttributes() {
        var isUsed = [Bool](repeating: false, count: attributes.count)
        for case let index? in allocations where isUsed.indices.contains(index) { isUsed[index] = true }
        guard isUsed.contains(false) else { return }
        var newIndex: [Int] = []
        var kept: [Attribute] = []
        for (index, attribute) in attributes.enumerated() {
            newIndex.append(kept.count)
            if isUsed[index] { kept.append(attribute) }
        }
        attributes = kept
        for ordinal in allocations.indices {
            if let index = allocations[ordinal] { allocations[ordinal] = newIndex[index] }
        }
    }
}

extension Block {
    /// Which of the invariants B1 to B5 (`reference/calico.md` 2.2) do not hold; empty for a sound block.
    public func violations(now: Timestamp) -> [String] {
        var found: [String] = []
        var isUsed = [Bool](repeating: false, count: attributes.count)
        var allocated = 0
        for (ordinal, index) in allocations.enumerated() {
            guard let index else { continue }
            allocated += 1
            if isUsed.indices.contains(index) {
                isUsed[index] = true
            } else {
                found.append("B1: \(address(ordinal)) has attribute \(index) of \(attributes.count)")
            }
        }
        for index in isUsed.indices where !isUsed[index] { found.append("B2: no address has attribute \(index)") }
        var isQueued = [Bool](repeating: false, count: allocations.count)
        for ordinal in unallocated {
            if !isQueued.indices.contains(ordinal) {
                found.append("B3: the queue has ordinal \(ordinal) of \(allocations.count)")
            } else if isQueued[ordinal] {
                found.append("B3: the queue has \(address(ordinal)) twice")
            } else if allocations[ordinal] != nil {
                found.append("B3: the queue has \(address(ordinal)), which is assigned")
            } else {
                isQueued[ordinal] = true
            }
        }
        if unallocated.count + allocated != allocations.count {
            found.append("B4: \(unallocated.count) free and \(allocated) assigned of \(allocations.count) addresses")
        }
        for case let releasedAt? in attributes.map(\.releasedAt) where releasedAt > now {
            found.append("B5: an address was released at \(releasedAt), in the future")
        }
        return found
    }

    /// Whether B1, B3 and B4 hold, without which an address might be handed out twice.
    var isSound: Bool {
        var isQueued = [Bool](repeating: false, count: allocations.count)
        for ordinal in unallocated {
            guard isQueued.indices.contains(ordinal), !isQueued[ordinal], allocations[ordinal] == nil else {
                return false
            }
            isQueued[ordinal] = true
        }
        var allocated = 0
        for case let index? in allocations {
            guard attributes.indices.contains(index) else { return false }
            allocated += 1
        }
        return unallocated.count + allocated == allocations.count
    }
}
