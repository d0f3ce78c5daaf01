import JSON

/// As much of a Pod or a Namespace as its addresses depend on.
public struct ClusterObject: Hashable, Sendable {
    public let labels: [String: String]
    public let annotations: [String: String]
    /// Of a Pod that has one.
    public let node: String?

    init(_ object: JSONObject) {
        let metadata = object.object("metadata")
        labels = metadata.object("labels").strings
        annotations = metadata.object("annotations").strings
        node = object.object("spec").string("nodeName")
    }
}

extension JSONObject {
    /// The object under a key; an empty one when there is none.
    func object(_ key: String) -> JSONObject {
        if case .object(let object)? = self[key] { object } else { JSONObject() }
    }

    func string(_ key: String) -> String? {
        if case .string(let text)? = self[key] { text } else { nil }
    }

    fileprivate var strings: [String: String] {
        var strings: [String: String] = [:]
        for member in members { if case .string(let value) = member.value { strings[member.key] = value } }
        return strings
    }
}
