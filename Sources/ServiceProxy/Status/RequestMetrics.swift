import PrometheusText
import Synchronization

/// Counts the requests to the API server: `rest_client_*` of 2.11.
public final class RequestMetrics: Sendable {
    private struct Outcome: Hashable, Comparable {
        let code: String
        let method: String
        let host: String

        static func < (left: Outcome, right: Outcome) -> Bool {
            (left.code, left.method, left.host) < (right.code, right.method, right.host)
        }
    }

    private struct Target: Hashable, Comparable {
        let method: String
        let host: String

        static func < (left: Target, right: Target) -> Bool { (left.method, left.host) < (right.method, right.host) }
    }

    private struct State {
        var outcomes: [Outcome: Int] = [:]
        var durations: [Target: Histogram] = [:]
    }

    static let bounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]
    private let state = Mutex(State())

    public init() {}

    /// - Parameters:
    ///   - host: with its port.
    ///   - code: `nil` when no answer came.
    ///   - duration: until the head of the answer was there.
    public func observe(method: String, host: String, code: Int?, _ duration: Duration) {
        let outcome = Outcome(code: code.map { "\($0)" } ?? "<error>", method: method, host: host)
        state.withLock { state in
            state.outcomes[outcome, default: 0] += 1
            let target = Target(method: method, host: host)
            state.durations[target, default: Histogram(bounds: Self.bounds)].observe(duration)
        }
    }

    public var families: [MetricFamily] {
        let (outcomes, durations) = state.withLock { ($0.outcomes, $0.durations) }
        return [
            MetricFamily(
                "rest_client_requests_total",
                .counter,
                "Requests to the API server by the code of the answer",
                stability: .alpha,
                outcomes.sorted { $0.key < $1.key }.map {
                    MetricSample($0.value, ["code": $0.key.code, "host": $0.key.host, "method": $0.key.method])
                }
            ),
            MetricFamily(
                "rest_client_request_duration_seconds",
                .histogram,
                "Seconds until the API server answered",
                stability: .alpha,
                durations.sorted { $0.key < $1.key }.flatMap { target, histogram in
                    histogram.samples(["host": target.host, "verb": target.method])
                }
            ),
        ]
    }
}
