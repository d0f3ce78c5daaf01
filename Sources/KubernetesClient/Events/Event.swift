import JSON
import KubernetesAPI

/// Something that happened to an object, for people to read (events.k8s.io/v1).
public struct Event: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// The object that an event is about.
    public struct Reference: Hashable, Sendable {
        public var apiVersion: String
        public var kind: String
        /// Empty for a kind that has none.
        public var namespace: String
        public var name: String
        public var uid: String

        public init(apiVersion: String = "v1", kind: String, namespace: String = "", name: String, uid: String = "") {
            self.apiVersion = apiVersion
            self.kind = kind
            self.namespace = namespace
            self.name = name
            self.uid = uid
        }
    }

    public var regarding: Reference
    public var type: Kind
    /// Why, in one word of CamelCase.
    public var reason: String
    /// What was done or tried, in one word of CamelCase.
    public var action: String
    /// For a person; cut at 1024 bytes.
    public var note: String

    public init(regarding: Reference, type: Kind, reason: String, action: String, note: String) {
        self.regarding = regarding
        self.type = type
        self.reason = reason
        self.action = action
        self.note = note
    }
}

/// Who reports events.
struct EventReporter: Hashable, Sendable {
    let controller: String
    let instance: String
}

/// An event as the API keeps it: the first time, and how often it came again.
struct StoredEvent: Hashable, Sendable {
    let event: Event
    let name: String
    let reporter: EventReporter
    let eventTime: Timestamp
    /// 1 for an event that has not come again.
    var count = 1
    var lastObserved: Timestamp

    /// What the API server refuses to take more of (pkg/apis/core/validation/events.go).
    private static let noteLimit = 1024
    private static let wordLimit = 128

    init(_ event: Event, _ reporter: EventReporter, now: Timestamp) {
        self.event = event
        self.reporter = reporter
        eventTime = now
        lastObserved = now
        let suffix = "." + String(now.nanoseconds, radix: 16)
        name = event.regarding.name.prefix(utf8: 253 - suffix.utf8.count) + suffix
    }

    /// Events about objects without a namespace are kept in this one.
    var namespace: String { event.regarding.namespace.isEmpty ? "default" : event.regarding.namespace }

    var object: JSONValue {
        var object = JSONObject([
            ("apiVersion", .string(APIResource.events.apiVersion)),
            ("kind", "Event"),
            ("metadata", ["name": .string(name), "namespace": .string(namespace)]),
            ("eventTime", .string(eventTime.microTime)),
            ("reportingController", .string(reporter.controller.prefix(utf8: Self.wordLimit))),
            ("reportingInstance", .string(reporter.instance.prefix(utf8: Self.wordLimit))),
            ("action", .string(event.action.prefix(utf8: Self.wordLimit))),
            ("reason", .string(event.reason.prefix(utf8: Self.wordLimit))),
            ("regarding", .object(regarding)),
            ("note", .string(event.note.prefix(utf8: Self.noteLimit))),
            ("type", .string(event.type.rawValue)),
        ])
        if count > 1 { object["series"] = series }
        return .object(object)
    }

    var patch: JSONValue { ["series": series] }

    private var series: JSONValue {
        ["count": .number(count), "lastObservedTime": .string(lastObserved.microTime)]
    }

    private var regarding: JSONObject {
        let regarding = event.regarding
        var object = JSONObject([
            ("apiVersion", .string(regarding.apiVersion)), ("kind", .string(regarding.kind)),
            ("name", .string(regarding.name)),
        ])
        if !regarding.namespace.isEmpty { object["namespace"] = .string(regarding.namespace) }
        if !regarding.uid.isEmpty { object["uid"] = .string(regarding.uid) }
        return object
    }
}

extension Timestamp {
    /// With six digits behind the point, which is the only form that a MicroTime may have.
    var microTime: String {
        let microseconds = (nanoseconds - seconds * 1_000_000_000) / 1000
        let digits = String(microseconds)
        return wholeSecond.description.dropLast() + "." + String(repeating: "0", count: 6 - digits.count) + digits + "Z"
    }
}

extension String {
    /// As many characters as have room in a number of bytes.
    func prefix(utf8 limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
