import ClusterClient
import Digests
import FoundationEssentials
import JSON

/// The attachments that are recorded at a Pod.
///
/// Calico keeps no object for a workload's endpoint in Kubernetes: it makes one up from the Pod and three annotations
/// that its plugin writes (1.3, K4). These do not hold all that DEL, CHECK and GC want to know again: the names of the
/// links, the MAC, the network, more than one interface. So the whole record goes into an annotation for each interface,
/// `swiftlet.io/endpoint.IFNAME`, beside Calico's three, which agents read.
struct PodEndpoints {
    let pod: CustomObject

    static let podIP = "cni.projectcalico.org/podIP"
    static let podIPs = "cni.projectcalico.org/podIPs"
    static let containerID = "cni.projectcalico.org/containerID"
    private static let prefix = "swiftlet.io/endpoint."
    /// The interface that Calico's annotations are about.
    private static let calicoInterface = "eth0"

    var namespace: String { pod.metadata.string("namespace") ?? "default" }
    var node: String { pod.spec.string("nodeName") ?? "" }
    private var annotations: JSONObject { pod.metadata.object("annotations") }

    /// The endpoints of the Pod, Calico's own among them, by name. What is no endpoint in our annotation is left out.
    var records: [Record] {
        var records: [Record] = []
        for member in annotations.members where member.key.hasPrefix(Self.prefix) {
            guard case .string(let text) = member.value, let object = JSONObject(parsing: Data(Array(text.utf8))),
                let name = object.string("name"), let number = object.string("revision"), let value = object["endpoint"]
            else { continue }
            records.append(
                Record(
                    key: .resource(.workloadEndpoints, namespace: namespace, name: name),
                    value: Data(Array(value.text().utf8)),
                    revision: Revision("\(pod.uid)/\(number)")
                )
            )
        }
        if let record = calicoRecord, !records.contains(where: { $0.key == record.key }) { records.append(record) }
        return records.sorted { $0.key < $1.key }
    }

    func record(_ key: RecordKey) -> Record? { records.first { $0.key == key } }

    /// What the plugin of Calico recorded; it empties the addresses when it takes it back.
    private var calicoRecord: Record? {
        guard let container = annotations.string(Self.containerID), !container.isEmpty,
            let text = annotations.string(Self.podIPs) ?? annotations.string(Self.podIP), !text.isEmpty,
            !node.isEmpty
        else { return nil }
        let name = EndpointName.text(node: node, pod: pod.name, interfaceName: Self.calicoInterface)
        let value: JSONValue = [
            "kind": "WorkloadEndpoint", "apiVersion": "projectcalico.org/v3",
            "metadata": [
                "name": .string(name), "namespace": .string(namespace), "uid": .string(pod.uid),
            ],
            "spec": [
                "orchestrator": "k8s", "pod": .string(pod.name), "node": .string(node),
                "containerID": .string(container), "endpoint": .string(Self.calicoInterface),
                "ipNetworks": .array(text.split(separator: ",").map { .string(String($0)) }),
                "profiles": [.string("kns.\(namespace)")],
            ],
        ]
        let text2 = value.text()
        return Record(
            key: .resource(.workloadEndpoints, namespace: namespace, name: name),
            value: Data(Array(text2.utf8)),
            revision: Revision("\(pod.uid)/calico-\(SHA256.digest(of: text2.utf8).hexadecimal.prefix(16))")
        )
    }

    // MARK: Changes

    /// The annotations with which the Pod has the endpoint.
    ///
    /// - Parameter number: what no other write of this endpoint has.
    static func annotations(
        name: String,
        interfaceName: String,
        value: JSONObject,
        number: String
    ) -> JSONObject {
        var annotations = JSONObject()
        let wrapped: JSONValue = ["name": .string(name), "revision": .string(number), "endpoint": .object(value)]
        annotations[annotation(interfaceName)] = .string(wrapped.text())
        let spec = value.object("spec")
        // Without a link of ours the Pod is another plugin's, and not one for Calico's agents to look after.
        guard interfaceName == calicoInterface, spec.string("interfaceName") != nil,
            case .array(let networks)? = spec["ipNetworks"], let container = spec.string("containerID")
        else { return annotations }
        let addresses = networks.compactMap { if case .string(let text) = $0 { text } else { nil } }
        annotations[podIP] = .string(addresses.first ?? "")
        annotations[podIPs] = .string(addresses.joined(separator: ","))
        annotations[containerID] = .string(container)
        return annotations
    }

    /// The annotations with which the Pod has the endpoint no more; `null` stands for those to remove.
    func annotationsWithout(interfaceName: String) -> JSONObject {
        var removed = JSONObject()
        if annotations[Self.annotation(interfaceName)] != nil { removed[Self.annotation(interfaceName)] = .null }
        if interfaceName == Self.calicoInterface, annotations[Self.containerID] != nil {
            // The container's ID stays, as Calico leaves it (1.3).
            removed[Self.podIP] = ""
            removed[Self.podIPs] = ""
        }
        return removed
    }

    /// The body of a merge patch for the Pod as it was read, and for no other.
    func patch(_ annotations: JSONObject) -> JSONValue {
        [
            "metadata": [
                "uid": .string(pod.uid), "resourceVersion": .string(pod.resourceVersion),
                "annotations": .object(annotations),
            ]
        ]
    }

    /// Names of interfaces may have what names of annotations may not; those are spelled in hexadecimal.
    private static func annotation(_ interfaceName: String) -> String {
        let isPlain = interfaceName.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        if isPlain, let last = interfaceName.last, last != "-", last != "." { return prefix + interfaceName }
        return prefix + "x_" + Array(interfaceName.utf8).hexadecimal
    }
}
