import JSON
import Synchronization

/// Names an object within its resource. Sorted as etcd sorts its keys: by namespace, then by name.
struct ObjectID: Hashable, Comparable, Sendable {
    let namespace: String
    let name: String

    static func < (left: ObjectID, right: ObjectID) -> Bool {
        left.namespace == right.namespace ? left.name < right.name : left.namespace < right.namespace
    }
}

/// One version of an object, which never changes, with its encoded forms.
final class StoredObject: Sendable {
    let type: ResourceType
    let id: ObjectID
    let uid: String
    let resourceVersion: UInt64
    let labels: [String: String]
    /// What field selectors can ask for, beyond name and namespace.
    let fields: [String: String]
    /// What no other object of the resource may have: cluster IPs and node ports.
    let claims: [String]
    /// As an item of a list, where built-in kinds have no apiVersion and kind.
    let item: [UInt8]
    private let message = Mutex<[UInt8]?>(nil)

    /// - Parameter object: with complete metadata.
    init(_ type: ResourceType, _ object: JSONObject, resourceVersion: UInt64) {
        self.type = type
        self.resourceVersion = resourceVersion
        let metadata = object["metadata"]?.object ?? JSONObject()
        id = ObjectID(namespace: metadata["namespace"]?.text ?? "", name: metadata["name"]?.text ?? "")
        uid = metadata["uid"]?.text ?? ""
        labels = Dictionary(
            metadata["labels"]?.object?.members.map { ($0.key, $0.value.text ?? "") } ?? [],
            uniquingKeysWith: { $1 }
        )
        fields = Self.selectableFields(type, object)
        claims = type == .services ? ServiceDefaults.claims(object) : []
        item = Self.item(type, object, metadata, resourceVersion)
    }

    /// The object with apiVersion and kind.
    var json: [UInt8] {
        if type.isCustom { return item }
        var bytes = Array(#"{"kind":"\#(type.kind)","apiVersion":"\#(type.apiVersion)","#.utf8)
        bytes += item.dropFirst()
        return bytes
    }

    /// The object as a protobuf message, without envelope; `nil` for kinds that have none here.
    var protobuf: [UInt8]? {
        guard let schema = ProtobufSchema.of(type) else { return nil }
        return message.withLock { message in
            if let message { return message }
            let bytes = ProtobufWriter.message(tree, schema)
            message = bytes
            return bytes
        }
    }

    /// The object as a tree, with apiVersion and kind.
    var tree: JSONObject {
        guard case .object(let object) = try? JSONValue(parsing: json.span) else { return JSONObject() }
        return object
    }

    /// The same object at another version, as the last state of one that is gone.
    func at(_ resourceVersion: UInt64) -> StoredObject {
        StoredObject(type, tree, resourceVersion: resourceVersion)
    }

    private static func selectableFields(_ type: ResourceType, _ object: JSONObject) -> [String: String] {
        switch type {
        case .pods:
            [
                "spec.nodeName": object["spec"]?.object?["nodeName"]?.text ?? "",
                "status.phase": object["status"]?.object?["phase"]?.text ?? "",
                "status.podIP": object["status"]?.object?["podIP"]?.text ?? "",
                "spec.restartPolicy": object["spec"]?.object?["restartPolicy"]?.text ?? "",
            ]
        case .nodes: ["spec.unschedulable": object["spec"]?.object?["unschedulable"] == true ? "true" : "false"]
        case .namespaces: ["status.phase": object["status"]?.object?["phase"]?.text ?? ""]
        case .services:
            [
                "spec.type": object["spec"]?.object?["type"]?.text ?? "",
                "spec.clusterIP": object["spec"]?.object?["clusterIP"]?.text ?? "",
            ]
        default: [:]
        }
    }

    private static func item(
        _ type: ResourceType,
        _ object: JSONObject,
        _ metadata: JSONObject,
        _ resourceVersion: UInt64
    ) -> [UInt8] {
        let leading = ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"]
        var writer = JSONWriter()
        writer.object { writer in
            if type.isCustom {
                writer.name("apiVersion")
                writer.string(type.apiVersion)
                writer.name("kind")
                writer.string(type.kind)
            }
            writer.name("metadata")
            writer.object { writer in
                for key in leading {
                    var value = metadata[key]
                    // What is only tried has no version.
                    if key == "resourceVersion" { value = resourceVersion > 0 ? .string(String(resourceVersion)) : nil }
                    guard let value else { continue }
                    writer.name(key)
                    writer.value(value)
                }
                for member in metadata.members where !leading.contains(member.key) {
                    writer.name(member.key)
                    writer.value(member.value)
                }
            }
            for member in object.members where !["apiVersion", "kind", "metadata"].contains(member.key) {
                writer.name(member.key)
                writer.value(member.value)
            }
        }
        return writer.bytes
    }
}
