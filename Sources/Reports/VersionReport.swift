import IPAM
import JSON

/// `version`: of this program, and of the cluster whose records are in the store; lines as calicoctl prints them.
public struct VersionReport: Hashable, Sendable {
    private let client: String
    private let cluster: ClusterInformation??

    /// - Parameter cluster: `nil` when it was not asked, an empty answer when the store has no such record.
    public init(client: String, cluster: ClusterInformation??) {
        self.client = client
        self.cluster = cluster
    }

    public var text: String {
        var text = "Client Version:    \(client)\n"
        guard let cluster else { return text }
        text += "Cluster Version:   \(Self.known(cluster?.spec.calicoVersion) ?? "unknown")\n"
        text += "Cluster Type:      \(Self.known(cluster?.spec.clusterType) ?? "unknown")\n"
        return text
    }

    /// What is not known is null.
    public func json() -> String {
        var report = JSONObject([("clientVersion", .string(client))])
        if let cluster {
            report["clusterVersion"] = Self.known(cluster?.spec.calicoVersion).map { .string($0) } ?? .null
            report["clusterType"] = Self.known(cluster?.spec.clusterType).map { .string($0) } ?? .null
            report["clusterGUID"] = Self.known(cluster?.spec.clusterGUID).map { .string($0) } ?? .null
        }
        return JSONValue.object(report).text(indentation: 2) + "\n"
    }

    private static func known(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
}
