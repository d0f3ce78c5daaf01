import ClusterClient
import FoundationEssentials
import JSON

// What etcd is asked (rpc.proto of its API), as JSON.

/// A page of a range, or a single key.
struct RangeRequest: Hashable, Sendable {
    let key: String
    var end: String?
    /// 0 for none.
    var limit = 0
    /// Reads the store as it was then; 0 for now.
    var revision: Int64 = 0
    var keysOnly = false

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.base64("key", key.utf8)
            if let end { writer.base64("range_end", end.utf8) }
            if limit > 0 { writer.number("limit", Int64(limit)) }
            if revision > 0 { writer.number("revision", revision) }
            if keysOnly {
                writer.name("keys_only")
                writer.boolean(true)
            }
        }
    }

    var body: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// All of them at one revision.
    static func transaction(_ ranges: [RangeRequest]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("success")
            writer.array(ranges) { writer, range in writer.operation("request_range") { range.write(to: &$0) } }
        }
        return writer.bytes
    }
}

/// One change with its key and what the key must be like before.
struct GuardedChange: Hashable, Sendable {
    let change: RecordChange
    let key: String
    /// 0 when there must be no such key.
    let expected: Int64

    init(_ change: RecordChange, under root: EtcdRoot) throws(DatastoreError) {
        self.change = change
        key = try root.key(change.key)
        switch change {
        case .create: expected = 0
        case .update(_, _, let revision), .delete(_, let revision):
            guard let number = Int64(revision.description), number > 0 else {
                throw DatastoreError(.failed, change.key, "\"\(revision)\" is no revision of etcd")
            }
            expected = number
        }
    }

    /// What it leaves there; `nil` for nothing.
    var value: Data? {
        switch change {
        case .create(_, let value), .update(_, let value, _): value
        case .delete: nil
        }
    }

    /// E1, E2 and E3: all changes if all keys are as expected, or else what is there instead.
    static func transaction(_ changes: [GuardedChange]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("compare")
            writer.array(changes) { writer, change in
                writer.object { writer in
                    writer.base64("key", change.key.utf8)
                    // Never missing, and 0 for a key that does not exist.
                    writer.name("target")
                    writer.string(change.expected == 0 ? "VERSION" : "MOD")
                    writer.number(change.expected == 0 ? "version" : "mod_revision", change.expected)
                }
            }
            writer.name("success")
            writer.array(changes) { writer, change in
                writer.operation(change.value == nil ? "request_delete_range" : "request_put") { writer in
                    writer.object { writer in
                        writer.base64("key", change.key.utf8)
                        if let value = change.value { writer.base64("value", value) }
                    }
                }
            }
            writer.name("failure")
            writer.array(changes) { writer, change in
                writer.operation("request_range") { RangeRequest(key: change.key).write(to: &$0) }
            }
        }
        return writer.bytes
    }
}

struct WatchRequest: Hashable, Sendable {
    let key: String
    let end: String?
    let startRevision: Int64

    var body: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("create_request")
            writer.object { writer in
                writer.base64("key", key.utf8)
                if let end { writer.base64("range_end", end.utf8) }
                writer.number("start_revision", startRevision)
                for flag in ["progress_notify", "fragment"] {
                    writer.name(flag)
                    writer.boolean(true)
                }
            }
        }
        return writer.bytes
    }
}

extension JSONWriter {
    fileprivate mutating func operation(_ name: String, _ request: (inout JSONWriter) -> Void) {
        object { writer in
            writer.name(name)
            request(&writer)
        }
    }

    fileprivate mutating func base64(_ name: String, _ bytes: some Sequence<UInt8>) {
        self.name(name)
        string(Data(bytes).base64EncodedString())
    }

    /// 64-bit numbers are strings.
    fileprivate mutating func number(_ name: String, _ value: Int64) {
        self.name(name)
        string(String(value))
    }
}
