import FoundationEssentials
import JSON

/// The record of a node: what its selectors look at, taken from the cluster's Node.
enum NodeRecord {
    static func value(_ node: CustomObject) -> Data {
        var metadata = JSONObject([("name", .string(node.name)), ("uid", .string(node.uid))])
        for key in ["creationTimestamp", "labels", "annotations"] { metadata[key] = node.metadata[key] }
        let record: JSONValue = [
            "apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": .object(metadata), "spec": [:],
        ]
        return Data(Array(record.text().utf8))
    }
}
