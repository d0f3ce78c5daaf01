import Logging
import NetworkTypes
import Synchronization

/// What a group of listeners has done since it was made.
public struct GroupCounters: Hashable, Sendable {
    /// Connections and flows that were begun for clients.
    public var connections: UInt64 = 0
    /// Those that are open.
    public var open = 0
    /// Clients without a target that answered, or that may not connect.
    public var refused: UInt64 = 0
    /// Clients turned away because descriptors or flows had run out.
    public var shed: UInt64 = 0
    /// Attempts at a target that failed.
    public var targetFailures: UInt64 = 0
    /// Bytes from clients.
    public var received: UInt64 = 0
    /// Bytes to clients.
    public var sent: UInt64 = 0
}

/// What the listeners of a group share. Any loop may use it.
final class ServiceGroup: Sendable {
    let name: String
    private let chooser = Mutex(TargetChooser())
    private let logger: Logger

    let connections = Atomic<UInt64>(0)
    let open = Atomic<Int>(0)
    let refused = Atomic<UInt64>(0)
    let shed = Atomic<UInt64>(0)
    let targetFailures = Atomic<UInt64>(0)
    let received = Atomic<UInt64>(0)
    let sent = Atomic<UInt64>(0)

    init(_ name: String, logger: Logger) {
        self.name = name
        self.logger = logger
    }

    /// Chooses a target, and counts on the caller to say when it was left: ``left(_:)``.
    func choose(
        _ question: TargetChooser.Question,
        for client: IPAddress,
        tried: [TransportAddress],
        on loop: EventLoop
    ) -> TransportAddress? {
        chooser.withLock { chooser in
            let target = chooser.choose(question, for: client, tried: tried, at: loop.now, using: &loop.random)
            if let target { chooser.opened(target) }
            return target
        }
    }

    func left(_ target: TransportAddress) { chooser.withLock { $0.closed(target) } }

    func succeeded(_ target: TransportAddress) {
        chooser.withLock { if !$0.health.isPerfect { $0.succeeded(target) } }
    }

    /// - Parameter why: in words for an operator.
    func failed(_ target: TransportAddress, at now: ContinuousClock.Instant, _ why: @autoclosure () -> String) {
        targetFailures.add(1, ordering: .relaxed)
        guard let rest = chooser.withLock({ $0.failed(target, at: now) }) else { return }
        logger.warning(
            "a target refuses; it rests",
            metadata: ["group": "\(name)", "target": "\(target)", "reason": "\(why())", "rest": "\(rest)"]
        )
    }

    func keepHealth(of targets: Set<TransportAddress>) { chooser.withLock { $0.keepHealth(of: targets.contains) } }

    var counters: GroupCounters {
        GroupCounters(
            connections: connections.load(ordering: .relaxed),
            open: open.load(ordering: .relaxed),
            refused: refused.load(ordering: .relaxed),
            shed: shed.load(ordering: .relaxed),
            targetFailures: targetFailures.load(ordering: .relaxed),
            received: received.load(ordering: .relaxed),
            sent: sent.load(ordering: .relaxed)
        )
    }
}
