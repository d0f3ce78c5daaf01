import CNI
import ClusterClient
import Logging
import ServerTransport

/// `readiness_gates`: what has to be ready on the node before a pod gets a network (1.1). Each answers 2xx or 3xx then.
struct ReadinessGates: Sendable {
    let gates: [Gate]

    /// How often, and for how long, those that are not ready are asked.
    private static let period = Duration.seconds(5)
    private static let patience = Duration.seconds(30)
    /// How long one answer may take.
    private static let answerTime = Duration.seconds(5)

    struct Gate: Hashable, Sendable {
        let url: String
        let server: ServerAddress
        /// The path and the query.
        let target: String

        /// `nil` for what is no URL of HTTP.
        init?(_ url: String) {
            guard url.utf8.allSatisfy({ 0x21...0x7e ~= $0 }), let scheme = url.ranges(of: "://").first else {
                return nil
            }
            let end = url[scheme.upperBound...].firstIndex { "/?#".contains($0) } ?? url.endIndex
            guard let server = ServerAddress(String(url[..<end])) else { return nil }
            let rest = url[end...].prefix { $0 != "#" }
            self.url = url
            self.server = server
            target = rest.hasPrefix("/") ? String(rest) : "/" + rest
        }
    }

    /// Throws code 7 for what is no URL.
    init(_ configuration: ObjectReader) throws(CNIError) {
        var gates: [Gate] = []
        for (index, url) in (try configuration.strings("readiness_gates") ?? []).enumerated() {
            guard let gate = Gate(url) else {
                throw CNIError(
                    .invalidConfiguration,
                    "\"\(configuration.path(of: "readiness_gates"))[\(index)]\" is no http or https URL",
                    details: url.quoted
                )
            }
            gates.append(gate)
        }
        self.gates = gates
    }

    /// Returns when all are ready. Throws code 11 when some are not, after half a minute or when what the wait is part of
    /// has no more time.
    func wait(_ log: PluginLog) async throws(CNIError) {
        guard !gates.isEmpty else { return }
        let own = ContinuousClock.now + Self.patience
        let end = RequestDeadline.current.map { min($0, own) } ?? own
        var reasons = await notReady(gates, by: end)
        while let reason = reasons.first {
            let next = ContinuousClock.now + Self.period
            guard next < end, (try? await Task.sleep(until: next, clock: .continuous)) != nil else {
                throw Self.error(reasons.map(\.1))
            }
            log.debug("waiting for \(reason.1)")
            reasons = await notReady(reasons.map(\.0), by: end)
        }
    }

    /// Throws code 11 unless all are ready at once.
    func check(by end: ContinuousClock.Instant) async throws(CNIError) {
        let reasons = await notReady(gates, by: end)
        guard reasons.isEmpty else { throw Self.error(reasons.map(\.1)) }
    }

    private static func error(_ reasons: [String]) -> CNIError {
        CNIError(.tryAgainLater, "the node is not ready for pods", details: reasons.joined(separator: "; "))
    }

    /// Those that are not ready, in their order, and what they say.
    private func notReady(_ gates: [Gate], by end: ContinuousClock.Instant) async -> [(Gate, String)] {
        await withTaskGroup(of: (Int, String?).self) { group in
            for (index, gate) in gates.enumerated() { group.addTask { (index, await Self.obstacle(gate, by: end)) } }
            var reasons: [Int: String] = [:]
            for await case (let index, let reason?) in group { reasons[index] = reason }
            return gates.indices.compactMap { index in reasons[index].map { (gates[index], $0) } }
        }
    }

    /// Why a gate is not ready; `nil` when it is.
    private static func obstacle(_ gate: Gate, by end: ContinuousClock.Instant) async -> String? {
        do throws(TransportError) {
            let logger = Logger(label: "readiness") { _ in SwiftLogNoOpLogHandler() }
            let transport = try ServerTransport(addresses: [gate.server], logger: logger)
            var request = TransportRequest(.GET, gate.target)
            request.timeout = max(.milliseconds(1), min(answerTime, ContinuousClock.now.duration(to: end)))
            // What it says beside the status does not matter, however long it is.
            let status = try await transport.stream(request).status
            return 200..<400 ~= status ? nil : "\(gate.url) answers \(status)"
        } catch {
            return "\(gate.url): \(error.message)"
        }
    }
}
