import JSON
import KubernetesAPI
import NetworkTypes

/// What `/healthz` and `/livez` go by (2.9). All families are programmed together, so that they share their moments.
struct ProxyHealth: Hashable, Sendable {
    let families: [IPFamily]
    /// A change that waits for longer makes the proxy unhealthy (HZ-2): twice `syncPeriod`.
    let patience: Duration
    /// Whether the node may get traffic (HZ-3): not before its Node was seen, where there has to be one, and not when it
    /// is about to go.
    var isNodeEligible: Bool
    /// When the oldest change was taken in that is not programmed yet.
    var queued: Timestamp?
    var updated: Timestamp

    func isHealthy(_ now: Timestamp) -> Bool {
        queued.map { now - $0 <= patience } ?? true
    }

    /// - Parameter countsNode: for `/healthz`, which also says whether the node is eligible.
    func answer(_ now: Timestamp, countsNode: Bool) -> (code: Int, body: String) {
        let isHealthy = isHealthy(now)
        let isFine = isHealthy && (isNodeEligible || !countsNode)
        var members: [(String, JSONValue)] = [
            // HZ-4
            ("lastUpdated", .string("\(isFine ? now : updated)")), ("currentTime", .string("\(now)")),
        ]
        if countsNode { members.append(("nodeEligible", .bool(isNodeEligible))) }
        members.append(("healthy", .bool(isHealthy)))  // HZ-5
        let status = families.map { family in
            (
                "\(family)",
                JSONValue.object(
                    JSONObject([
                        ("lastUpdated", .string("\(isHealthy ? now : updated)")), ("healthy", .bool(isHealthy)),
                    ])
                )
            )
        }
        members.append(("status", .object(JSONObject(status))))
        return (isFine ? 200 : 503, JSONValue.object(JSONObject(members)).text())
    }
}
