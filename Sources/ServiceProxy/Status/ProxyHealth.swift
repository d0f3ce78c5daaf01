import JSON
import KubernetesAPI
import NetworkTypes

/// What `/healthz` and `/livez` go by (2.9).
struct ProxyHealth: Hashable, Sendable {
    let families: [IPFamily]
    /// A change that waits for longer makes the proxy unhealthy (HZ-2): twice `syncPeriod`.
    var patience: Duration
    /// Whether the node may get traffic (HZ-3): not before its Node was seen, where there has to be one, and not when it
    /// is about to go.
    var isNodeEligible: Bool
    let started: Timestamp
    /// When the oldest change was taken in that is not programmed yet, per family.
    private var queued: [IPFamily: Timestamp] = [:]
    private var updated: [IPFamily: Timestamp] = [:]

    init(families: [IPFamily], patience: Duration, isNodeEligible: Bool, started: Timestamp) {
        self.families = families
        self.patience = patience
        self.isNodeEligible = isNodeEligible
        self.started = started
    }

    mutating func changeQueued(at now: Timestamp) {
        for family in families where queued[family] == nil { queued[family] = now }
    }

    mutating func committed(_ commit: CommitReport, at now: Timestamp) {
        for family in families where commit.succeeded || !commit.failedFamilies.contains(family) {
            updated[family] = now
            queued[family] = commit.hasMore ? now : nil
        }
    }

    func isHealthy(_ now: Timestamp) -> Bool {
        families.allSatisfy { isHealthy($0, now) }
    }

    private func isHealthy(_ family: IPFamily, _ now: Timestamp) -> Bool {
        queued[family].map { now - $0 <= patience } ?? true
    }

    /// - Parameter countsNode: for `/healthz`, which also says whether the node is eligible.
    func answer(_ now: Timestamp, countsNode: Bool) -> (code: Int, body: String) {
        let isHealthy = isHealthy(now)
        let isFine = isHealthy && (isNodeEligible || !countsNode)
        let updated = families.compactMap { self.updated[$0] }.max() ?? started
        var members: [(String, JSONValue)] = [
            // HZ-4
            ("lastUpdated", .string("\(isFine ? now : updated)")), ("currentTime", .string("\(now)")),
        ]
        if countsNode { members.append(("nodeEligible", .bool(isNodeEligible))) }
        members.append(("healthy", .bool(isHealthy)))  // HZ-5
        let status = families.map { family in
            let isHealthy = self.isHealthy(family, now)
            let updated = isHealthy ? now : self.updated[family] ?? started
            return (
                "\(family)",
                JSONValue.object(JSONObject([("lastUpdated", .string("\(updated)")), ("healthy", .bool(isHealthy))]))
            )
        }
        members.append(("status", .object(JSONObject(status))))
        return (isFine ? 200 : 503, JSONValue.object(JSONObject(members)).text())
    }
}
