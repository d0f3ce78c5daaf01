import KubernetesAPI
import NetworkTypes

/// The frontends that all Services want together, and how that differs from what is programmed.
///
/// A key belongs to one Service. When several claim it, the oldest has it, by creation time and then by name, so that
/// every node and every restart agree (FE-8 does not).
public struct FrontendTable: Sendable {
    /// A key that a Service does not get.
    public struct Conflict: Hashable, Sendable {
        public let frontend: Frontend
        public let owner: Catalog.ServiceID
    }

    private struct Claim {
        let created: Timestamp?
        /// At most one per key.
        let frontends: [Frontend]
    }

    private struct Owner {
        let service: Catalog.ServiceID
        let kind: Frontend.Kind
        /// Where the frontend is in the owner's claim.
        let index: Int
    }

    private var claims: [Catalog.ServiceID: Claim] = [:]
    private var owners: [Frontend.Key: Owner] = [:]
    /// Everyone who claims a key that more than one claims.
    private var contenders: [Frontend.Key: Set<Catalog.ServiceID>] = [:]
    /// Of every key whose wanted frontend may differ from the programmed one: the programmed one.
    private var unprogrammed: [Frontend.Key: Frontend?] = [:]
    /// The same, of the changes that a commit is at work on.
    private var inFlight: [Frontend.Key: Frontend?] = [:]
    /// The same, of the changes that the backend refused and that are not to be tried now.
    private var refused: [Frontend.Key: Frontend?] = [:]
    /// Why, for those that were.
    private var refusalReasons: [Frontend.Key: String] = [:]

    /// How many frontends are wanted.
    public private(set) var counts = FrontendCounts()

    public init() {}

    /// Everything that is wanted, Service by Service in the order in which they should be served (``StartOrder``).
    public var frontends: [Frontend] {
        let services = claims.map { StartOrder(service: $0.key, created: $0.value.created, $0.value.frontends) }
            .sorted()
        var result: [Frontend] = []
        result.reserveCapacity(owners.count)
        for service in services {
            for (index, frontend) in (claims[service.service]?.frontends ?? []).enumerated() {
                if let owner = owners[frontend.key], owner.service == service.service, owner.index == index {
                    result.append(frontend)
                }
            }
        }
        return result
    }

    public var count: Int { owners.count }

    public var hasChanges: Bool { !unprogrammed.isEmpty }

    public var hasRefused: Bool { !refused.isEmpty }

    /// How many frontends the backend refused that are not to be tried now; no family without any.
    public private(set) var refusedCounts: [IPFamily: Int] = [:]

    /// Whether what is programmed for a key is what is wanted.
    func isSettled(_ key: Frontend.Key) -> Bool { refused[key] == nil && unprogrammed[key] == nil }

    public func frontend(_ key: Frontend.Key) -> Frontend? {
        owners[key].flatMap { owner in claims[owner.service]?.frontends[owner.index] }
    }

    /// Replaces what one Service wants. Work is proportional to the frontends of this Service.
    ///
    /// - Returns: conflicts that are new with this change: keys that this Service wants and does not get, or has taken
    ///   from another.
    public mutating func set(
        _ frontends: [Frontend],
        of service: Catalog.ServiceID,
        created: Timestamp?
    ) -> [Conflict] {
        var conflicts: [Conflict] = []
        var wanted: [Frontend] = []
        var newKeys: Set<Frontend.Key> = []
        for frontend in frontends {
            if newKeys.insert(frontend.key).inserted {
                wanted.append(frontend)
            } else {
                conflicts.append(Conflict(frontend: frontend, owner: service))
            }
        }
        let old = claims[service]
        guard old?.frontends != wanted || old?.created != created else { return [] }

        let oldKeys = old?.frontends.map(\.key) ?? []
        for key in newKeys.union(oldKeys) where unprogrammed[key] == nil {
            unprogrammed[key] = takeRefused(key) ?? .some(frontend(key))
        }

        for key in oldKeys where !newKeys.contains(key) { withdraw(service, from: key) }
        claims[service] = wanted.isEmpty ? nil : Claim(created: created, frontends: wanted)
        for (index, frontend) in wanted.enumerated() {
            conflicts += enter(service, for: frontend.key, index: index)
        }
        return conflicts
    }

    private mutating func enter(_ service: Catalog.ServiceID, for key: Frontend.Key, index: Int) -> [Conflict] {
        guard let previous = owners[key], previous.service != service || contenders[key] != nil else {
            if let kind = claims[service]?.frontends[index].kind {
                setOwner(Owner(service: service, kind: kind, index: index), of: key)
            }
            return []
        }
        let before = contenders[key] ?? [previous.service]
        let all = before.union([service])
        contenders[key] = all
        setOwner(owner(of: key, among: all), of: key)
        guard let owner = owners[key]?.service, !before.contains(service) || owner != previous.service else {
            return []
        }
        // Everyone who learns now that it does not have the key.
        let losers = owner == service ? all.subtracting([service]) : [service]
        return losers.compactMap { loser in
            claims[loser]?.frontends.first { $0.key == key }.map { Conflict(frontend: $0, owner: owner) }
        }
    }

    private mutating func withdraw(_ service: Catalog.ServiceID, from key: Frontend.Key) {
        guard var all = contenders[key] else { return setOwner(nil, of: key) }
        all.remove(service)
        setOwner(owner(of: key, among: all), of: key)
        contenders[key] = all.count > 1 ? all : nil
    }

    private func owner(of key: Frontend.Key, among services: Set<Catalog.ServiceID>) -> Owner? {
        guard let service = oldest(of: services),
            let frontends = claims[service]?.frontends,
            let index = frontends.firstIndex(where: { $0.key == key })
        else { return nil }
        return Owner(service: service, kind: frontends[index].kind, index: index)
    }

    private mutating func setOwner(_ owner: Owner?, of key: Frontend.Key) {
        let old: Owner?
        if let owner {
            old = owners.updateValue(owner, forKey: key)
            counts[owner.kind, key.family] += 1
        } else {
            old = owners.removeValue(forKey: key)
        }
        if let old { counts[old.kind, key.family] -= 1 }
    }

    private func oldest(of services: Set<Catalog.ServiceID>) -> Catalog.ServiceID? {
        services.min { left, right in
            // Without a creation time (objects from files), the name alone decides, after all that have one.
            let (leftAge, rightAge) = (claims[left]?.created?.seconds ?? .max, claims[right]?.created?.seconds ?? .max)
            return (leftAge, left.name) < (rightAge, right.name)
        }
    }

    // MARK: Commits

    /// The whole of what is wanted, for a backend that compares by itself. It counts as programmed from now on; when
    /// it could not be, the whole is to be asked for again.
    public mutating func beginWhole() -> [Frontend] {
        unprogrammed = [:]
        inFlight = [:]
        (refused, refusedCounts, refusalReasons) = ([:], [:], [:])
        return frontends
    }

    /// The changes that make what is programmed what is wanted; ``commitSucceeded()`` or ``commitFailed()`` is to
    /// follow.
    public mutating func beginCommit() -> [FrontendChange] {
        inFlight = unprogrammed
        unprogrammed = [:]
        return inFlight.compactMap { key, programmed in
            switch (programmed, frontend(key)) {
            case (nil, nil): nil
            case (nil, let new?): .add(new)
            case (let old?, nil): .remove(old)
            case (let old?, let new?): old == new ? nil : .replace(old: old, new: new)
            }
        }
    }

    /// Nothing of the commit happened: its changes are still to be made.
    public mutating func commitFailed() {
        // Older knowledge wins: what was wanted when the commit began never got programmed.
        unprogrammed.merge(inFlight) { _, older in older }
        inFlight = [:]
    }

    /// All of the commit happened, but for what ``refuse(_:)`` is told next.
    public mutating func commitSucceeded() {
        inFlight = [:]
    }

    /// A change of the last commit did not happen, and is to wait for ``retryRefused()`` or for a new plan.
    public mutating func refuse(_ change: FrontendChange, because reason: String = "") {
        if unprogrammed[change.key] == nil {
            let isKnown = refused.updateValue(change.old, forKey: change.key) != nil
            if !isKnown { refusedCounts[change.key.family, default: 0] += 1 }
            refusalReasons[change.key] = reason
        } else {
            // Planned anew while the commit ran, in the belief that the change would happen.
            unprogrammed[change.key] = .some(change.old)
        }
    }

    /// Puts the refused changes into the next commit.
    public mutating func retryRefused() {
        unprogrammed.merge(refused) { _, older in older }
        (refused, refusedCounts, refusalReasons) = ([:], [:], [:])
    }

    /// What is programmed for a key that was refused, which is so no longer; `nil` when it was not.
    private mutating func takeRefused(_ key: Frontend.Key) -> Frontend?? {
        guard let programmed = refused.removeValue(forKey: key) else { return nil }
        refusalReasons[key] = nil
        let left = (refusedCounts[key.family] ?? 0) - 1
        refusedCounts[key.family] = left > 0 ? left : nil
        return .some(programmed)
    }
}

// MARK: What there is to be told

extension FrontendTable {
    /// What has become of a frontend that a Service wants.
    public enum Standing: Hashable, Sendable {
        case programmed
        /// For the next commit, or for one that is under way.
        case waiting
        /// By the backend, for a reason.
        case refused(String)
        /// The key belongs to another Service.
        case conflicting(owner: Catalog.ServiceID)
    }

    /// What a Service wants, in the order of its plan, and how each stands.
    func wanted(by service: Catalog.ServiceID) -> [(frontend: Frontend, standing: Standing)] {
        claims[service]?.frontends.map { ($0, standing(of: $0.key, for: service)) } ?? []
    }

    private func standing(of key: Frontend.Key, for service: Catalog.ServiceID) -> Standing {
        if let owner = owners[key]?.service, owner != service { return .conflicting(owner: owner) }
        if refused[key] != nil { return .refused(refusalReasons[key] ?? "") }
        return unprogrammed[key] == nil && inFlight[key] == nil ? .programmed : .waiting
    }

    /// The frontend that packets with this key meet at the moment, the Service that has the key, and those that would
    /// have it without it.
    func state(
        of key: Frontend.Key
    ) -> (programmed: Frontend?, owner: (service: Catalog.ServiceID, standing: Standing)?, losers: [Catalog.ServiceID])
    {
        let programmed = inFlight[key] ?? unprogrammed[key] ?? refused[key] ?? frontend(key)
        guard let owner = owners[key]?.service else { return (programmed, nil, []) }
        let losers = (contenders[key] ?? []).subtracting([owner])
        return (programmed, (owner, standing(of: key, for: owner)), losers.sorted { $0.name < $1.name })
    }

    /// Looks at every key that somebody has: for a person's rare question.
    func keys(where isWanted: (Frontend.Key) -> Bool) -> [Frontend.Key] { owners.keys.filter(isWanted) }
}

extension FrontendChange {
    public var key: Frontend.Key {
        switch self {
        case .add(let frontend), .remove(let frontend), .replace(_, let frontend): frontend.key
        }
    }

    /// What is programmed before the change; `nil` when nothing is.
    var old: Frontend? {
        switch self {
        case .add: nil
        case .remove(let frontend), .replace(let frontend, _): frontend
        }
    }
}
