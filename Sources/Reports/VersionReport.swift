import IPAM
import JSON

/// `version`: of this program, and of the cluster whose records are in the store; lines as calicoctl prints them.
public struct VersionReport: Hashable, Sendable {
    private let client: String
    private let commit: String?
    private let cluster: ClusterInformation??

    /// - Parameters:
    ///   - commit: `nil` when it is not known.
    ///   - cluster: `nil` when it was not asked, an empty answer when the store has no such record.
    public init(client: String, commit: String?, cluster: ClusterInformation??) {
        self.client = client
        self.commit = commit
        self.cluster = cluster
    }

    public var text: String {
        var text = "Client Version:    \(client)\n"
        if let commit { text += "Git commit:        \(commit)\n" }
        guard let cluster else { return text }
        text += "Cluster Version:   \(Self.known(cluster?.spec.calicoVersion) ?? "unknown")\n"
        text += "Cluster Type:      \(Self.known(cluster?.spec.clusterType) ?? "unknown")\n"
        return text
    }

    /// What is not known is null.
    public func json() -> String {
        var report = JSONObject([("clientVersion", .string(client)), ("gitCommit", .optional(commit))])
        if let cluster {
            report["clusterVersion"] = .optional(Self.known(cluster?.spec.calicoVersion))
            report["clusterType"] = .optional(Self.known(cluster?.spec.clusterType))
            report["clusterGUID"] = .optional(Self.known(cluster?.spec.clusterGUID))
        }
        return JSONValue.object(report).report
    }

    private static func known(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
}
