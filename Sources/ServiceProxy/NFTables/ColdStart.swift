/// In what pieces a table that has no frontends yet gets them, so that the kernel's lock is not held for long. Pure.
struct ColdStart {
    /// The chains that lists need, which come before any frontend.
    let chains: [PickChain]
    /// Ranges of the frontends, in their order.
    let batches: [Range<Int>]

    /// Of a batch: frontends and their backends together. The kernel takes some 2 µs for each.
    static let elementLimit = 40_000
    /// The kernel walks a map when a new chain begins to use it, which takes long in a large one, and no time in an empty
    /// one: tables with more backends than this get chains for lengths that lists may come to have.
    static let spareLimit = 20_000
    private static let spareLength: UInt32 = 24

    init(_ frontends: [Frontend], hasLocalDetector: Bool, elementLimit: Int = Self.elementLimit) {
        var chains: Set<PickChain> = []
        var batches: [Range<Int>] = []
        var (start, size, total) = (0, 0, 0)
        for (index, frontend) in frontends.enumerated() {
            chains.formUnion(PickChain.all(for: frontend, hasLocalDetector: hasLocalDetector))
            let count = frontend.route.backends.count + (frontend.nearRoute?.backends.count ?? 0)
            // A Service is not torn apart: the first of its frontends puts the cluster IP among those of which all other
            // ports are refused.
            if size + count + 1 > elementLimit, index > start, !frontend.isOfSameService(as: frontends[index - 1]) {
                batches.append(start..<index)
                (start, size) = (index, 0)
            }
            size += count + 1
            total += count
        }
        if start < frontends.count { batches.append(start..<frontends.count) }
        if total > Self.spareLimit {
            let kinds = Set(chains.map { $0.with(count: 1) })
            for kind in kinds { for count in 1...Self.spareLength { chains.insert(kind.with(count: count)) } }
        }
        self.chains = chains.sorted { $0.name < $1.name }
        self.batches = batches
    }
}

extension Frontend {
    fileprivate func isOfSameService(as other: Frontend) -> Bool {
        servicePort.name == other.servicePort.name && servicePort.namespace == other.servicePort.namespace
    }
}

extension PickChain {
    fileprivate func with(count: UInt32) -> PickChain {
        PickChain(marking: marking, scope: scope, isNear: isNear, count: Int(count), memory: memory)
    }
}
