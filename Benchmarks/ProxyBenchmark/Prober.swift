import Dispatch
import Glibc
import Measuring
import Netlink
import Synchronization

/// A client that dials Services and sees where it arrives.
struct Prober: Sendable {
    let network: BenchNetwork
    /// In seconds.
    let patience: Double

    /// How long a single connection may take, in milliseconds, before it is tried anew.
    private static let timeout: CInt = 100

    /// Dials Services until each was reached once.
    ///
    /// - Returns: when the last one was, in milliseconds of the monotonic clock.
    func reachAll(_ services: [AddressBits], of process: BenchProcess) throws -> Double {
        let (listener, deadline) = (network.listener, monotonicMilliseconds() + patience * 1e3)
        let end = try network.client.run { () -> Double? in
            for service in services {
                while true {
                    if case .connected(let port) = dial(service, timeout: Self.timeout),
                        listener.destination(ofConnectionFrom: port, timeout: Self.timeout) != nil
                    {
                        break
                    }
                    guard monotonicMilliseconds() < deadline, process.isRunning else { return nil }
                }
            }
            return monotonicMilliseconds()
        }
        guard let end else { throw Self.failure("not all Services can be reached", process) }
        return end
    }

    /// Dials a Service until an endpoint answers.
    ///
    /// - Returns: when it did, in milliseconds of the monotonic clock.
    func reach(_ endpoint: AddressBits, through service: AddressBits, of process: BenchProcess) throws -> Double {
        let (listener, deadline) = (network.listener, monotonicMilliseconds() + patience * 1e3)
        let end = try network.client.run { () -> Double? in
            while monotonicMilliseconds() < deadline, process.isRunning {
                guard case .connected(let port) = dial(service, timeout: Self.timeout) else { continue }
                let found = listener.destination(ofConnectionFrom: port, timeout: Self.timeout)
                if found == endpoint { return monotonicMilliseconds() }
            }
            return nil
        }
        guard let end else { throw Self.failure("a change has had no effect", process) }
        return end
    }

    private static func failure(_ what: String, _ process: BenchProcess) -> BenchmarkFailure {
        BenchmarkFailure("\(what) in time; the proxy says:\n\(process.log.suffix(2000))")
    }
}

/// Watches for some of many changes, one at a time.
final class ChurnWatcher: Sendable {
    private struct Target {
        let endpoint: AddressBits
        let service: AddressBits
        let start: Double
    }

    private struct State {
        var target: Target?
        var latencies: [Double] = []
        var missing = 0
        var isStopped = false
    }

    private let state = Mutex(State())
    private let done = DispatchSemaphore(value: 0)

    /// How long a change is watched for, in milliseconds.
    private static let patience = 5000.0

    init(_ prober: Prober) {
        let listener = prober.network.listener
        let (namespace, done) = (prober.network.client, done)
        Task.detached { [self] in
            _ = try? await namespace.run { self.watch(listener) }
            done.signal()
        }
    }

    /// The Service that is watched at this moment.
    var watched: AddressBits? { state.withLock { $0.target?.service } }

    func watch(_ endpoint: AddressBits, _ service: AddressBits, since start: Double) {
        state.withLock { $0.target = Target(endpoint: endpoint, service: service, start: start) }
    }

    /// Waits for what is watched for, and ends.
    func finish() -> (latencies: [Double], missing: Int) {
        state.withLock { $0.isStopped = true }
        done.wait()
        return state.withLock { ($0.latencies, $0.missing) }
    }

    private func watch(_ listener: Listener) {
        while true {
            let (target, isStopped) = state.withLock { ($0.target, $0.isStopped) }
            guard let target else {
                if isStopped { return }
                usleep(200)
                continue
            }
            var arrived: AddressBits?
            if case .connected(let port) = dial(target.service, timeout: 50) {
                arrived = listener.destination(ofConnectionFrom: port, timeout: 50)
            }
            let waited = monotonicMilliseconds() - target.start
            if arrived == target.endpoint {
                state.withLock { state in
                    state.latencies.append(waited)
                    state.target = nil
                }
            } else if waited > Self.patience {
                state.withLock { state in
                    state.missing += 1
                    state.target = nil
                }
            } else {
                usleep(100)  // The proxy needs the processor more.
            }
        }
    }
}

/// Connects to Services without a pause, and counts what goes wrong.
final class Load: Sendable {
    struct Outcome {
        var connections = 0
        var lost = 0
        var refused = 0
        /// How often each error came.
        var errors: [String: Int] = [:]
    }

    private let outcome = Mutex(Outcome())
    private let isStopped = Atomic(false)
    private let done = DispatchSemaphore(value: 0)

    init(_ client: NetworkNamespace, to services: [AddressBits]) {
        let done = done
        Task.detached { [self] in
            _ = try? await client.run {
                while !self.isStopped.load(ordering: .relaxed) {
                    guard let service = services.randomElement() else { return }
                    let result = dial(service, timeout: 900)
                    self.outcome.withLock { outcome in
                        outcome.connections += 1
                        switch result {
                        case .connected: break
                        case .failed(let code):
                            outcome.refused += 1
                            outcome.errors[String(cString: strerror(code)), default: 0] += 1
                        case .lost: outcome.lost += 1
                        }
                    }
                    usleep(200)
                }
            }
            done.signal()
        }
    }

    func stop() -> Outcome {
        isStopped.store(true, ordering: .relaxed)
        done.wait()
        return outcome.withLock { $0 }
    }
}
