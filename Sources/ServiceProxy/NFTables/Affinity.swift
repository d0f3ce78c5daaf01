import NFTables
import NetworkTypes

/// Whose memory of clients it is: that of one service port, for one kind of list (SA-1, SA-5). All frontends that use
/// the same share it.
struct AffinityScope: Hashable, Sendable {
    let servicePort: ServicePortName
    let isLocalOnly: Bool

    init?(_ frontend: Frontend, _ route: Route) {
        guard frontend.affinityTimeout != nil else { return nil }
        servicePort = frontend.servicePort
        isLocalOnly = route.isLocalOnly
    }
}

/// An endpoint that clients of one scope may be remembered at; in `affinity-endpoints`. When it leaves, what is
/// remembered has no effect any more (SA-4).
struct AffinityMember: Hashable, Sendable {
    let scope: UInt32
    let endpoint: Destination
}

/// The numbers that stand for scopes in the table. A number that was read back stays, and with it the memory (SA-6).
struct AffinityNumbers: Hashable, Sendable {
    private struct Use: Hashable {
        let number: UInt32
        var frontends: Int
    }

    private var uses: [AffinityScope: Use] = [:]
    private var taken: Set<UInt32> = []
    private var next: UInt32

    /// Numbers that scopes had in a table that was read back, until their first frontend comes.
    private var known: [AffinityScope: UInt32]

    /// - Parameters:
    ///   - highest: the highest number in a table that was read back.
    ///   - known: what the scopes that will come have in it.
    init(above highest: UInt32 = 0, known: [AffinityScope: UInt32] = [:]) {
        next = highest &+ 1
        self.known = known
    }

    subscript(scope: AffinityScope) -> UInt32? { uses[scope]?.number }

    /// The number of a scope that a frontend begins to use.
    ///
    /// - Parameter found: what the frontend has in the table; taken over when the scope has no number yet.
    mutating func enter(_ scope: AffinityScope, preferring found: UInt32?) -> UInt32 {
        if let use = uses[scope] {
            uses[scope]?.frontends += 1
            return use.number
        }
        var number = known.removeValue(forKey: scope) ?? found ?? 0
        if number == 0 || taken.contains(number) {
            while next == 0 || taken.contains(next) { next &+= 1 }
            number = next
            next &+= 1
        }
        taken.insert(number)
        uses[scope] = Use(number: number, frontends: 1)
        return number
    }

    /// A frontend does not use the scope any more. The number is not given out again soon.
    mutating func leave(_ scope: AffinityScope) {
        guard let use = uses[scope] else { return }
        if use.frontends > 1 {
            uses[scope]?.frontends -= 1
        } else {
            uses[scope] = nil
            taken.remove(use.number)
        }
    }
}
