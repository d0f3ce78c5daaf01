import NFTables
import NetworkTypes

/// The sets whose elements stand for several frontends at once.
struct CountedSets {
    var clusterIPs: Set<IPAddress> = []
    var hairpins: Set<Concatenation> = []
    var members: Set<Concatenation> = []

    struct Differences {
        var addedClusterIPs: [Element] = []
        var removedClusterIPs: [Element] = []
        var addedHairpins: [Element] = []
        var removedHairpins: [Element] = []
        var addedMembers: [Element] = []
        var removedMembers: [Element] = []
    }

    /// What to write when a first user comes or the last one goes.
    static func differences(of effects: ServiceTableState.Effects, from state: ServiceTableState) -> Differences {
        var result = Differences()
        for (address, difference) in effects.clusterIPs where difference != 0 {
            let before = state.clusterIPs[address, default: 0]
            if before == 0 { result.addedClusterIPs.append(Element(Key.address(address))) }
            if before + difference == 0 { result.removedClusterIPs.append(Element(Key.address(address))) }
        }
        for (local, difference) in effects.hairpins where difference != 0 {
            let before = state.hairpins[local, default: 0]
            if before == 0 { result.addedHairpins.append(Element(Key.hairpin(local))) }
            if before + difference == 0 { result.removedHairpins.append(Element(Key.hairpin(local))) }
        }
        for (member, difference) in effects.members where difference != 0 {
            let before = state.members[member, default: 0]
            if before == 0 { result.addedMembers.append(Element(Key.member(member))) }
            if before + difference == 0 { result.removedMembers.append(Element(Key.member(member))) }
        }
        return result
    }

    /// What to write so that the sets hold what is counted, and nothing else.
    func differences(to effects: ServiceTableState.Effects) -> Differences {
        let ips = Self.difference(clusterIPs, effects.clusterIPs, { $0 }, { Element(Key.address($0)) })
        let hairpins = Self.difference(hairpins, effects.hairpins, Key.hairpin, { Element($0) })
        let members = Self.difference(members, effects.members, Key.member, { Element($0) })
        return Differences(
            addedClusterIPs: ips.added,
            removedClusterIPs: ips.removed,
            addedHairpins: hairpins.added,
            removedHairpins: hairpins.removed,
            addedMembers: members.added,
            removedMembers: members.removed
        )
    }

    /// Makes no second set unless something has to go: after a restart all is mostly as it should be.
    private static func difference<Thing: Hashable, Found: Hashable>(
        _ found: Set<Found>,
        _ counts: [Thing: Int],
        _ key: (Thing) -> Found,
        _ element: (Found) -> Element
    ) -> (added: [Element], removed: [Element]) {
        var added: [Element] = []
        var keptCount = 0
        for (thing, count) in counts where count > 0 {
            let key = key(thing)
            if found.contains(key) { keptCount += 1 } else { added.append(element(key)) }
        }
        guard keptCount < found.count else { return (added, []) }
        var wanted: Set<Found> = []
        for (thing, count) in counts where count > 0 { wanted.insert(key(thing)) }
        return (added, found.subtracting(wanted).map(element))
    }
}
