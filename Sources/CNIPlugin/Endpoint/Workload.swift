import CNI
import ClusterClient
import Digests

/// What an attachment belongs to, under the names that Calico records it by.
enum Workload: Hashable, Sendable {
    case pod(PodReference)
    /// A container of a runtime that knows no Pods.
    case container(id: String)

    init(_ attachment: Attachment) {
        // Without the Pod's UID, which no record has: with it, no endpoint would equal the one that a repeated ADD finds.
        let pod = attachment.arguments.pod.map { PodReference(namespace: $0.namespace, name: $0.name) }
        self = pod.map(Workload.pod) ?? .container(id: attachment.id.containerID)
    }

    /// Whom an address was assigned to, from what is noted beside it; `nil` when no Pod is.
    init?(attributes: [String: String]) {
        guard let namespace = attributes["namespace"], let name = attributes["pod"] else { return nil }
        self = .pod(PodReference(namespace: namespace, name: name))
    }

    /// What a Kubernetes object's name can have, less what a store's own escapes may add.
    private static let longestName = 200

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
    /// segment doubled (K4). A name that no object and no file can have is cut, and gets a hash of the whole.
    func endpointKey(node: String, interfaceName: String) -> RecordKey {
        let hyphen = UInt8(ascii: "-")
        var bytes: [UInt8] = []
        for (index, segment) in [node, orchestrator, name, interfaceName].enumerated() {
            if index > 0 { bytes.append(hyphen) }
            for byte in segment.utf8 {
                bytes.append(byte)
                if byte == hyphen { bytes.append(hyphen) }
            }
        }
        var name = String(decoding: bytes, as: UTF8.self)
        if name.utf8.count > Self.longestName {
            // Cut between characters; the hash is shorter than what is cut off at least.
            name = String(name.prefix(Self.longestName / 2)) + "-" + SHA1.hexadecimal(of: name)
        }
        return .resource(.workloadEndpoints, namespace: namespace, name: name)
    }
}
