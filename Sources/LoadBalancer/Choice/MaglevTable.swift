import NetworkTypes

/// Consistent hashing after Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016, 3.4).
///
/// Each target has a permutation of the slots of a table, made from its address and port alone, and the targets take
/// turns in claiming the next slot of theirs that is free. So every target has nearly the same number of slots, a target
/// that comes or goes moves few of the others' slots, and all nodes with the same targets have the same table.
public struct MaglevTable: Sendable {
    /// A prime, so that every step from 1 to size - 1 visits all slots.
    public let size: Int
    /// The index of each slot's target; empty without targets.
    public let slots: [UInt16]

    /// The share of targets can differ by no more than one slot in a hundred as long as there are 100 slots for each.
    private static let sizes = [16_381, 65_521]

    /// - Parameter targets: in any order, without duplicates; at most 65,535 of them.
    public init(_ targets: [TransportAddress]) {
        size = targets.count * 100 <= Self.sizes[0] ? Self.sizes[0] : Self.sizes[1]
        guard !targets.isEmpty else {
            slots = []
            return
        }
        // In an order of their own: who comes first in a turn must not depend on how they were listed.
        let order = targets.indices.sorted { targets[$0] < targets[$1] }.prefix(Int(UInt16.max))
        let modulus = size
        var next = order.map { Int(StableHash(targets[$0], seed: 1).value % UInt64(modulus)) }
        let steps = order.map { 1 + Int(StableHash(targets[$0], seed: 2).value % UInt64(modulus - 1)) }
        var slots = [UInt16](repeating: .max, count: modulus)
        var free = modulus
        while free > 0 {
            for (turn, target) in order.enumerated() where free > 0 {
                var slot = next[turn]
                while slots[slot] != .max { slot = (slot + steps[turn]) % modulus }
                slots[slot] = UInt16(target)
                next[turn] = (slot + steps[turn]) % modulus
                free -= 1
            }
        }
        self.slots = slots
    }

    /// The index of the target of a client, or of the one that follows it in the table when that is not usable.
    public func target(of client: IPAddress, where isUsable: (Int) -> Bool) -> Int? {
        guard !slots.isEmpty else { return nil }
        let start = Int(StableHash(client, seed: 3).value % UInt64(size))
        for offset in 0..<size {
            let target = Int(slots[(start + offset) % size])
            if isUsable(target) { return target }
        }
        return nil
    }
}
