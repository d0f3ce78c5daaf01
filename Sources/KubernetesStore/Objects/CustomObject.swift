import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes

/// An object as the server has it.
struct CustomObject: Hashable, Sendable {
    let members: JSONObject
    let name: String
    let uid: String
    let resourceVersion: String

    /// Throws the reason why it cannot be an object.
    init(_ value: JSONValue) throws(MalformedObject) {
        guard case .object(let members) = value, case .object(let metadata)? = members["metadata"],
            case .string(let name)? = metadata["name"]
        else { throw MalformedObject(reason: "it is no object with a name") }
        self.members = members
        self.name = name
        guard case .string(let version)? = metadata["resourceVersion"], case .string(let uid)? = metadata["uid"] else {
            throw MalformedObject(reason: "it has no uid and resourceVersion")
        }
        self.uid = uid
        resourceVersion = version
    }

    init(parsing text: Span<UInt8>) throws(MalformedObject) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: text)
        } catch {
            throw MalformedObject(reason: "not JSON: \(error)")
        }
        try self.init(value)
    }

    var spec: JSONObject { members.object("spec") }
    var metadata: JSONObject { members.object("metadata") }

    var revision: Revision { Revision("\(uid)/\(resourceVersion)") }

    /// Whether somebody began to delete it (K2). Version 1 of affinities has the flag as text.
    var isSoftlyDeleted: Bool {
        switch spec["deleted"] {
        case .bool(let value): value
        case .string(let text): text == "true"
        default: false
        }
    }
}

/// Why an object of the server, or a record for it, cannot be used.
struct MalformedObject: Error, Hashable {
    let reason: String
}

extension Revision {
    /// The UID and the resourceVersion of the object; `nil` for a revision of another store.
    var object: (uid: String, resourceVersion: String)? {
        guard let slash = description.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return (String(description[..<slash]), String(description[description.utf8.index(after: slash)...]))
    }
}

extension JSONObject {
    /// `nil` for what is no JSON object.
    init?(parsing data: Data) {
        do throws(JSONReader.Failure) {
            guard case .object(let object) = try JSONValue(parsing: data.span) else { return nil }
            self = object
        } catch {
            return nil
        }
    }

    /// The object under a key; an empty one when there is none.
    func object(_ key: String) -> JSONObject {
        if case .object(let object)? = self[key] { object } else { JSONObject() }
    }

    func string(_ key: String) -> String? {
        if case .string(let text)? = self[key] { text } else { nil }
    }

    /// The object without members that are `null`, which most schemas of Calico do not allow.
    var withoutNulls: JSONObject {
        JSONObject(members.filter { $0.value != .null }.map { ($0.key, $0.value) })
    }
}
