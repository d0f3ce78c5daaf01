import Logging
import NetworkTypes
import Synchronization

/// What all listeners, connections and flows of a load balancer share.
final class Environment: Sendable {
    let budget: DescriptorBudget
    let flows: DescriptorBudget
    let connectTimeout: Timeout
    /// How long a client may go on sending to a target that has answered and takes no more.
    let lingerTimeout = Timeout(duration: .seconds(5))
    let options: LoadBalancerOptions
    let logger: Logger
    private let lastShedding = Mutex<Shedding>(Shedding())

    private struct Shedding {
        var last: ContinuousClock.Instant?
        var sinceThen: UInt64 = 0
    }

    /// Between two log lines about clients that were turned away.
    private static let logInterval = Duration.seconds(10)

    /// - Parameter openFiles: how many files the process may have open.
    init(_ options: LoadBalancerOptions, openFiles: Int, logger: Logger) {
        self.options = options
        self.logger = logger
        budget = DescriptorBudget(
            options.descriptorLimit ?? openFiles - min(options.descriptorReserve, openFiles / 2)
        )
        flows = DescriptorBudget(options.flowLimit)
        connectTimeout = Timeout(duration: options.connectTimeout)
    }

    /// Counts a client that is turned away for want of something, and says so now and then.
    func shed(_ group: ServiceGroup, because reason: @autoclosure () -> String) {
        group.shed.add(1, ordering: .relaxed)
        let count: UInt64? = lastShedding.withLock { shedding in
            shedding.sinceThen += 1
            let now = ContinuousClock.now
            if let last = shedding.last, now - last < Self.logInterval { return nil }
            defer { shedding = Shedding(last: now) }
            return shedding.sinceThen
        }
        guard let count else { return }
        logger.warning(
            "clients are turned away",
            metadata: ["group": "\(group.name)", "reason": "\(reason())", "clients": "\(count)"]
        )
    }
}

/// How many of something there may be at once.
final class DescriptorBudget: Sendable {
    let limit: Int
    private let used = Atomic<Int>(0)

    init(_ limit: Int) {
        self.limit = limit
    }

    /// Whether so many more would still be within the limit.
    func has(_ count: Int) -> Bool { used.load(ordering: .relaxed) + count <= limit }

    func take(_ count: Int) { used.add(count, ordering: .relaxed) }

    func give(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}
