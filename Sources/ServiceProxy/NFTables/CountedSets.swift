import NFTables
import NetworkTypes

/// The sets whose elements stand for several frontends at once.
struct CountedSets {
    var clusterIPs: Set<Concatenation> = []
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
    func differences(to effects: ServiceTableState.Effects, _ table: ServiceTable) -> Differences {
        let wantedIPs = Set(effects.clusterIPs.filter { $0.value > 0 }.keys.map(Key.address))
        let wantedHairpins = Set(effects.hairpins.filter { $0.value > 0 }.keys.map(Key.hairpin))
        let wantedMembers = Set(effects.members.filter { $0.value > 0 }.keys.map(Key.member))
        return Differences(
            addedClusterIPs: wantedIPs.subtracting(clusterIPs).map { Element($0) },
            removedClusterIPs: clusterIPs.subtracting(wantedIPs).map { Element($0) },
            addedHairpins: wantedHairpins.subtracting(hairpins).map { Element($0) },
            removedHairpins: hairpins.subtracting(wantedHairpins).map { Element($0) },
            addedMembers: wantedMembers.subtracting(members).map { Element($0) },
            removedMembers: members.subtracting(wantedMembers).map { Element($0) }
        )
    }
}
