import ClusterClient
import JSON

/// What a watch has told of each object, so that it tells what changed and nothing twice.
struct WatchedObjects {
    private var known: [ObjectIdentity: [RecordKey: Revision]] = [:]

    private struct ObjectIdentity: Hashable {
        let namespace: String
        let name: String

        init(_ object: CustomObject) {
            namespace = object.metadata.string("namespace") ?? ""
            name = object.name
        }
    }

    /// Notes all objects of a list, in the place of everything before.
    mutating func replace(_ objects: [(object: CustomObject, records: [Record])]) {
        known = [:]
        for (object, records) in objects { note(object, records) }
    }

    /// What to tell of an object as it is now: with no records when it is gone, or about to go (K2).
    mutating func update(_ object: CustomObject, _ records: [Record]) -> [RecordEvent] {
        let old = known[ObjectIdentity(object)] ?? [:]
        let present = Set(records.map(\.key))
        let removed = old.keys.filter { !present.contains($0) }.sorted().map { RecordEvent.removed($0) }
        note(object, records)
        return removed + records.filter { old[$0.key] != $0.revision }.map { .put($0) }
    }

    private mutating func note(_ object: CustomObject, _ records: [Record]) {
        known[ObjectIdentity(object)] =
            records.isEmpty ? nil : Dictionary(records.map { ($0.key, $0.revision) }) { $1 }
    }
}

/// One line of a watch (`{"type": …, "object": …}`).
enum WatchLine {
    case present(CustomObject)
    case gone(CustomObject)
    case bookmark(resourceVersion: String)
    /// The code of the Status, and its message.
    case error(Int, String)

    /// Throws the reason why it is none.
    init(_ text: Span<UInt8>) throws(MalformedObject) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: text)
        } catch {
            throw MalformedObject(reason: "not JSON: \(error)")
        }
        guard case .object(let line) = value, let object = line["object"] else {
            throw MalformedObject(reason: "an event without an object")
        }
        switch line.string("type") {
        case "ADDED", "MODIFIED": self = .present(try CustomObject(object))
        case "DELETED": self = .gone(try CustomObject(object))
        case "BOOKMARK":
            guard case .object(let object) = object,
                let version = object.object("metadata").string("resourceVersion")
            else { throw MalformedObject(reason: "a bookmark without a resourceVersion") }
            self = .bookmark(resourceVersion: version)
        case "ERROR":
            guard case .object(let status) = object else { throw MalformedObject(reason: "an error without a Status") }
            var code = 0
            if case .number(let digits)? = status["code"] { code = Int(digits) ?? 0 }
            self = .error(code, status.string("message") ?? "")
        default:
            throw MalformedObject(reason: "an event of an unknown type")
        }
    }
}
