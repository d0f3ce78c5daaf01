import NetworkTypes

/// The first packet of a connection, as the hooks of the kernel see it.
public struct SimulatedPacket: Hashable, Sendable {
    public var source: IPAddress
    public var destination: IPAddress
    public var transport: TransportProtocol
    public var sourcePort: UInt16
    public var destinationPort: UInt16
    public var mark: UInt32 = 0
    /// `meta priority`
    var priority: UInt32 = 0
    /// The interface that it comes in by; empty for none.
    public var inputInterface = ""
    /// Whether its destination was replaced (`ct status dnat`).
    public var isTranslated = false

    public init(
        from source: IPAddress,
        _ sourcePort: UInt16 = 0,
        to destination: IPAddress,
        _ destinationPort: UInt16,
        over transport: TransportProtocol
    ) {
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
        self.transport = transport
    }
}

/// Leads a packet through a ruleset as the kernel would, and keeps a record of what it met: hooks, chains, rules,
/// elements. A pure function of its values.
///
/// It knows the expressions that this module makes. The kernel's own decisions on the way, which addresses are local
/// and what a random number is, come from its caller.
public struct PacketWalk {
    public enum End: Hashable, Sendable {
        /// To a process on this node.
        case delivered
        /// Out of this node.
        case sent
        case dropped
        case rejected
    }

    /// A rule that was carried out, as far as it matched.
    public struct Visit: Hashable, Sendable {
        public struct LookUp: Hashable, Sendable {
            public let set: String
            /// The key as `nft` prints it.
            public let key: String
            /// The element as `nft` prints it, or `nil` when the set has none.
            public let element: String?
            /// Whether the key has a random number in it.
            public let isRandom: Bool
        }

        public enum Result: Hashable, Sendable {
            /// One of its expressions did not hold.
            case noMatch
            /// All held, and none decides.
            case matched
            case verdict(Verdict)
            case translated(to: IPAddress, port: UInt16)
            case masqueraded
            /// With a TCP reset, or else with an ICMP error.
            case rejected(withReset: Bool)
        }

        public let hook: Chain.Hook
        public let chain: String
        /// As `nft list` prints it.
        public let rule: String
        public let comment: String?
        public internal(set) var lookUps: [LookUp] = []
        /// The mark that the rule has set.
        public internal(set) var mark: UInt32?
        public internal(set) var result = Result.noMatch
    }

    /// An expression of a rule that the walk does not know.
    public struct Unknown: Error, Hashable, CustomStringConvertible {
        public let expression: String
        public let chain: String

        public var description: String { "chain \(chain) has an expression that cannot be followed: \(expression)" }
    }

    let ruleset: Ruleset
    let isLocal: (IPAddress) -> Bool
    let random: (UInt32) -> UInt32
    public internal(set) var packet: SimulatedPacket
    public internal(set) var visits: [Visit] = []
    public internal(set) var end = End.sent
    private var isDestinationSettled = false
    private var isSourceSettled = false

    /// Walks a packet from where it enters or is made to where it leaves or ends.
    ///
    /// - Parameters:
    ///   - isFromHere: whether a process on this node makes it; otherwise it comes in by an interface.
    ///   - isLocal: whether an address is one of this node.
    ///   - random: a number below its argument, whenever a rule asks for one.
    /// - Throws: ``Unknown``
    public init(
        _ packet: SimulatedPacket,
        isFromHere: Bool,
        through ruleset: Ruleset,
        isLocal: @escaping (IPAddress) -> Bool,
        random: @escaping (UInt32) -> UInt32
    ) throws(Unknown) {
        self.packet = packet
        self.ruleset = ruleset
        self.isLocal = { $0.isLoopback || isLocal($0) }
        self.random = random
        end = try walk(isFromHere: isFromHere)
    }

    private mutating func walk(isFromHere: Bool) throws(Unknown) -> End {
        if isFromHere {
            for hook in [Chain.Hook.output, .postrouting] {
                if let end = try call(hook) { return end }
            }
            guard isLocal(packet.destination) else { return .sent }
            // The loopback interface hands it back to the same node, as a packet that comes in.
            packet.inputInterface = "lo"
        }
        if let end = try call(.prerouting) { return end }
        if isLocal(packet.destination) { return try call(.input) ?? .delivered }
        if let end = try call(.forward) { return end }
        return try call(.postrouting) ?? .sent
    }

    /// - Returns: how the packet ended; `nil` when it goes on.
    private mutating func call(_ hook: Chain.Hook) throws(Unknown) -> End? {
        for chain in ruleset.bases {
            guard let base = chain.base, base.hook == hook else { continue }
            // A connection is translated once in each direction, by the first hook that can do it.
            let isForSource = hook == .postrouting || hook == .input
            if base.kind == .nat, isForSource ? isSourceSettled : isDestinationSettled { continue }
            switch try run(chain.name, at: hook) {
            case .drop: return .dropped
            case .reject: return .rejected
            case .fallThrough where base.policy == .drop: return .dropped
            case .accept, .fallThrough: break
            }
        }
        switch hook {
        case .prerouting, .output: isDestinationSettled = true
        case .postrouting, .input: isSourceSettled = true
        case .forward: break
        }
        return nil
    }

    enum ChainEnd {
        case accept, drop, reject
        /// The end of the chain, or `return`.
        case fallThrough
    }

    /// No table of ours nests deeper; the kernel's own limit is 16.
    private static let deepest = 16

    private mutating func run(_ chain: String, at hook: Chain.Hook, depth: Int = 0) throws(Unknown) -> ChainEnd {
        guard depth < Self.deepest else { throw Unknown(expression: "jump", chain: chain) }
        for (rule, text) in ruleset.rules(of: chain) {
            var visit = Visit(hook: hook, chain: chain, rule: text, comment: rule.comment)
            try carryOut(rule, &visit)
            visits.append(visit)
            switch visit.result {
            case .noMatch, .matched, .verdict(.continue): continue
            case .translated, .masqueraded, .verdict(.accept): return .accept
            case .rejected: return .reject
            case .verdict(.drop): return .drop
            case .verdict(.return): return .fallThrough
            case .verdict(.goto(let next)): return try run(next, at: hook, depth: depth + 1)
            case .verdict(.jump(let next)):
                let end = try run(next, at: hook, depth: depth + 1)
                if end != .fallThrough { return end }
            }
        }
        return .fallThrough
    }
}
