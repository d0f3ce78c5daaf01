import NetworkTypes

/// What would happen to the first packet of a new connection, and why.
public struct PacketTrace: Codable, Hashable, Sendable {
    public struct Packet: Codable, Hashable, Sendable {
        public enum Origin: String, Codable, Hashable, Sendable {
            /// From a process on this node.
            case node = "Node"
            /// From a source that counts as a pod of this cluster.
            case pod = "Pod"
            case elsewhere = "Elsewhere"
        }

        public var source: IPAddress
        /// 0 when it does not matter.
        public var sourcePort: UInt16
        public var destination: IPAddress
        public var destinationPort: UInt16
        /// `TCP`, `UDP` or `SCTP`.
        public var `protocol`: String
        /// The interface that it comes in by; `nil` for a packet of the node's own, or when nobody said.
        public var interface: String?
        public var origin: Origin

        public init(
            source: IPAddress,
            sourcePort: UInt16 = 0,
            destination: IPAddress,
            destinationPort: UInt16,
            protocol: String,
            interface: String? = nil,
            origin: Origin
        ) {
            self.source = source
            self.sourcePort = sourcePort
            self.destination = destination
            self.destinationPort = destinationPort
            self.protocol = `protocol`
            self.interface = interface
            self.origin = origin
        }
    }

    /// A rule that the packet met.
    public struct Step: Codable, Hashable, Sendable {
        /// `prerouting`, `output`, …
        public var hook: String
        public var chain: String
        /// As `nft list` prints it.
        public var rule: String
        /// The element that a map or set has for the packet, as `nft list` prints it; `nil` without look-up or element.
        public var element: String?
        /// What came of it: `no match`, `goto pick-2`, `dropped`, …
        public var result: String
        /// The same in words.
        public var why: String

        public init(hook: String, chain: String, rule: String, element: String? = nil, result: String, why: String) {
            self.hook = hook
            self.chain = chain
            self.rule = rule
            self.element = element
            self.result = result
            self.why = why
        }
    }

    public enum Verdict: String, Codable, Hashable, Sendable {
        /// Sent to a backend.
        case translated = "Translated"
        /// Answered with a TCP reset or an ICMP error.
        case rejected = "Rejected"
        case dropped = "Dropped"
        /// Left as it is: no rule of the proxy concerns it.
        case untouched = "Untouched"
    }

    /// A backend that the packet can go to.
    public struct Choice: Codable, Hashable, Sendable {
        public var backend: BackendReport
        /// From 0 to 1.
        public var probability: Double
        /// Whether its source address is replaced.
        public var isMasqueraded: Bool
        /// Whom the backend sees; `nil` when the node's address towards it cannot be told.
        public var seenSource: IPAddress?

        public init(backend: BackendReport, probability: Double, isMasqueraded: Bool, seenSource: IPAddress?) {
            self.backend = backend
            self.probability = probability
            self.isMasqueraded = isMasqueraded
            self.seenSource = seenSource
        }
    }

    /// How it goes on once a backend is chosen; backends whose packets meet the same rules are together.
    public struct Way: Codable, Hashable, Sendable {
        public var choices: [Choice]
        public var steps: [Step]

        public init(choices: [Choice], steps: [Step]) {
            self.choices = choices
            self.steps = steps
        }
    }

    public var packet: Packet
    /// As `namespace/name:port`; `nil` when no Service has the destination.
    public var service: String?
    /// What of the Service the destination is.
    public var frontend: FrontendReport.Kind?
    /// The rules up to the choice of a backend, or up to the end.
    public var steps: [Step]
    public var ways: [Way]
    public var verdict: Verdict
    /// The verdict in words, with what caused it.
    public var why: String
    /// What else one should know: what is not programmed yet, what comes near to the destination.
    public var notes: [String]

    public init(
        packet: Packet,
        service: String? = nil,
        frontend: FrontendReport.Kind? = nil,
        steps: [Step] = [],
        ways: [Way] = [],
        verdict: Verdict,
        why: String,
        notes: [String] = []
    ) {
        self.packet = packet
        self.service = service
        self.frontend = frontend
        self.steps = steps
        self.ways = ways
        self.verdict = verdict
        self.why = why
        self.notes = notes
    }
}
