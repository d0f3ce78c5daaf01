import PrometheusText
import Synchronization

/// `/healthz` of a component's status server, one page for each of its checks, and `/metrics/slis`, which counts what
/// they said.
public final class ComponentHealth: Sendable {
    public struct Check: Sendable {
        /// The last part of its own path.
        public let name: String
        /// Says what is wrong, or `nil`.
        public let run: @Sendable () -> String?

        public init(_ name: String, run: @escaping @Sendable () -> String?) {
            self.name = name
            self.run = run
        }

        /// Says that there is somebody who answers.
        public static let ping = Check("ping") { nil }
    }

    private struct Result {
        var isFine = true
        var successes = 0
        var errors = 0
    }

    private let checks: [Check]
    /// By the name of the check.
    private let results = Mutex<[String: Result]>([:])

    public init(_ checks: [Check] = [.ping]) {
        self.checks = checks
    }

    /// The answer to `/healthz`, with its parameters `verbose` and `exclude`, and to `/healthz/CHECK`; `nil` for any
    /// other path.
    public func answer(_ request: StatusRequest) -> StatusAnswer? {
        let root = "/healthz"
        if request.path == root { return all(request) }
        guard request.path.hasPrefix(root + "/") else { return nil }
        let name = request.path.dropFirst(root.count + 1)
        return checks.first { $0.name == name }.map { check in
            check.run().map { .failure(500, "internal server error: \($0)") } ?? Self.plain("ok")
        }
    }

    private func all(_ request: StatusRequest) -> StatusAnswer {
        var excluded = Set(request.values(of: "exclude"))
        var lines = ""
        var isFine = true
        for check in checks {
            if excluded.remove(check.name) != nil {
                lines += "[+]\(check.name) excluded: ok\n"
                continue
            }
            let failure = check.run()
            note(failure == nil, of: check.name)
            isFine = isFine && failure == nil
            // Anybody may ask; the reason is on the page of the check.
            lines += failure == nil ? "[+]\(check.name) ok\n" : "[-]\(check.name) failed: reason withheld\n"
        }
        if !excluded.isEmpty {
            let names = excluded.sorted().map { "\"\($0)\"" }.joined(separator: ",")
            lines += "warn: some health checks cannot be excluded: no matches for \(names)\n"
        }
        guard isFine else { return .failure(500, lines + "healthz check failed") }
        return Self.plain(request.values(of: "verbose").isEmpty ? "ok" : lines + "healthz check passed\n")
    }

    private static func plain(_ body: String) -> StatusAnswer {
        StatusAnswer(headers: ["X-Content-Type-Options": "nosniff"], body: body)
    }

    private func note(_ isFine: Bool, of name: String) {
        results.withLock { results in
            results[name, default: Result()].isFine = isFine
            if isFine { results[name]?.successes += 1 } else { results[name]?.errors += 1 }
        }
    }

    /// The answer to `/metrics/slis`; DELETE starts over.
    public func indicators(_ request: StatusRequest) -> StatusAnswer {
        guard request.method != "DELETE" else {
            results.withLock { $0 = [:] }
            return StatusAnswer(body: "metrics reset\n")
        }
        let results = results.withLock { $0 }.sorted { $0.key < $1.key }
        let families = [
            MetricFamily(
                "kubernetes_healthcheck",
                .gauge,
                "Whether a health check succeeded when it was last asked for",
                stability: .stable,
                results.map { MetricSample($0.value.isFine ? 1 : 0, ["name": $0.key, "type": "healthz"]) }
            ),
            MetricFamily(
                "kubernetes_healthchecks_total",
                .counter,
                "Results of health checks",
                stability: .stable,
                results.flatMap { name, result in
                    [("error", result.errors), ("success", result.successes)].filter { $0.1 > 0 }.map {
                        MetricSample($0.1, ["name": name, "status": $0.0, "type": "healthz"])
                    }
                }
            ),
        ]
        return StatusAnswer(contentType: MetricFamily.contentType, body: MetricFamily.text(families))
    }
}
