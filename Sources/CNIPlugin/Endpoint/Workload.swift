import CNI
import ClusterClient

/// What an attachment belongs to, under the names that Calico records it by.
enum Workload: Hashable, Sendable {
    case pod(PodReference)
    /// A container of a runtime that knows no Pods.
    case container(id: String)

    init(_ attachment: Attachment) {
        self = attachment.arguments.pod.map(Workload.pod) ?? .container(id: attachment.id.containerID)
    }

    /// Whom an address was assigned to, from what is noted beside it; `nil` when no Pod is.
    init?(attributes: [String: String]) {
        guard let namespace = attributes["namespace"], let name = attributes["pod"] else { return nil }
        self = .pod(PodReference(namespace: namespace, name: name))
    }

    var namespace: String {
        switch self {
        case .pod(let pod): pod.namespace
        case .container: "default"
        }
    }

    var orchestrator: String {
        switch self {
        case .pod: "k8s"
        case .container: "cni"
        }
    }

    var name: String {
        switch self {
        case .pod(let pod): pod.name
        case .container(let id): id
        }
    }

    /// The key of the endpoint's record: `NODE-k8s-POD-IFNAME` or `NODE-cni-CONTAINER-IFNAME`, every `-` inside a
    /// segment doubled (K4).
    func endpointKey(node: String, interfaceName: String) -> RecordKey {
        let segments = [node, orchestrator, name, interfaceName].map { segment in
            segment.split(separator: "-", omittingEmptySubsequences: false).joined(separator: "--")
        }
        return .resource(.workloadEndpoints, namespace: namespace, name: segments.joined(separator: "-"))
    }
}
