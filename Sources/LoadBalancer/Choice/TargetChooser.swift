import NetworkTypes

/// Chooses targets for the clients of one group. A value: what it knows comes from its calls, and time and chance are given.
struct TargetChooser: Sendable {
    /// What is decided about: one list of a listener with how to spread.
    struct Question: Sendable {
        let list: TargetList
        let balancing: Balancing
        /// Made from the list when the algorithm needs it.
        let maglev: MaglevTable?

        init(_ list: TargetList, _ balancing: Balancing) {
            self.list = list
            self.balancing = balancing
            maglev = balancing.algorithm == .maglev ? MaglevTable(list.targets) : nil
        }
    }

    private(set) var health = TargetHealth()
    private var affinity = AffinityMemory()
    /// Open connections and flows of each target that has some.
    private var loads: [TransportAddress: Int] = [:]
    private var turn = 0

    func load(of target: TransportAddress) -> Int { loads[target] ?? 0 }

    /// The target for a new connection of a client; `nil` when all were tried.
    ///
    /// A target that rests is chosen only when no other is left: it may serve again, and refusing would be no better.
    mutating func choose(
        _ question: Question,
        for client: IPAddress,
        tried: [TransportAddress] = [],
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> TransportAddress? {
        let targets = question.list.targets
        guard !targets.isEmpty else { return nil }
        let key = AffinityMemory.Client(address: client, memory: question.list.memory)
        if let timeout = question.balancing.affinityTimeout,
            let target = affinity.target(of: key, within: timeout, at: now),
            targets.contains(target), !tried.contains(target), !health.isResting(target, at: now)
        {
            affinity.note(key, at: target, timeout: timeout, now)
            return target
        }
        var index: Int?
        if tried.isEmpty, health.isPerfect {
            index = pick(question, for: client, using: &random) { _ in true }
        } else {
            let health = health
            index =
                pick(question, for: client, using: &random) { index in
                    !tried.contains(targets[index]) && !health.isResting(targets[index], at: now)
                } ?? pick(question, for: client, using: &random) { !tried.contains(targets[$0]) }
        }
        guard let index else { return nil }
        if let timeout = question.balancing.affinityTimeout {
            affinity.note(key, at: targets[index], timeout: timeout, now)
        }
        return targets[index]
    }

    private mutating func pick(
        _ question: Question,
        for client: IPAddress,
        using random: inout some RandomNumberGenerator,
        where isUsable: (Int) -> Bool
    ) -> Int? {
        let targets = question.list.targets
        switch question.balancing.algorithm {
        case .random:
            // A few throws suffice nearly always; else all that are usable are counted.
            for _ in 0..<3 {
                let index = Int.random(in: targets.indices, using: &random)
                if isUsable(index) { return index }
            }
            return targets.indices.filter(isUsable).randomElement(using: &random)
        case .roundRobin:
            turn &+= 1
            let start = Int(UInt(bitPattern: turn) % UInt(targets.count))
            return rotation(of: targets.count, from: start).first(where: isUsable)
        case .leastConnections:
            // Among equals they take turns, so that an idle group is spread evenly as well.
            turn &+= 1
            let start = Int(UInt(bitPattern: turn) % UInt(targets.count))
            var best: (index: Int, load: Int)?
            for index in rotation(of: targets.count, from: start) where isUsable(index) {
                let load = loads[targets[index]] ?? 0
                if load == 0 { return index }
                if best.map({ load < $0.load }) ?? true { best = (index, load) }
            }
            return best?.index
        case .maglev:
            return question.maglev?.target(of: client, where: isUsable)
        }
    }

    private func rotation(of count: Int, from start: Int) -> some Sequence<Int> {
        (0..<count).lazy.map { offset in
            let index = start + offset
            return index < count ? index : index - count
        }
    }

    mutating func opened(_ target: TransportAddress) { loads[target, default: 0] += 1 }

    mutating func closed(_ target: TransportAddress) {
        guard let load = loads[target] else { return }
        loads[target] = load > 1 ? load - 1 : nil
    }

    mutating func failed(_ target: TransportAddress, at now: ContinuousClock.Instant) -> Duration? {
        health.failed(target, at: now)
    }

    mutating func succeeded(_ target: TransportAddress) { health.succeeded(target) }

    /// Forgets the health of targets that are gone, since an address may come back as something else.
    mutating func keepHealth(of isKept: (TransportAddress) -> Bool) { health.keep(isKept) }
}
