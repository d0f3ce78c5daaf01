import FoundationEssentials
import JSON
import NIOCore

// What etcd answers (rpc.proto of its API, in the JSON mapping of protobuf): fields that are zero or empty are left out,
// 64-bit numbers are strings, bytes are base64.

/// A key with what it holds.
struct KeyValue: Hashable, Sendable {
    var key = ""
    var value = Data()
    var createRevision: Int64 = 0
    var modRevision: Int64 = 0
}

struct RangeAnswer: Hashable, Sendable {
    /// Of the store when it was read.
    var revision: Int64 = 0
    var keyValues: [KeyValue] = []
    /// Whether there are more in the range than the limit allowed.
    var hasMore = false
}

struct TransactionAnswer: Hashable, Sendable {
    var revision: Int64 = 0
    var succeeded = false
    /// One for each operation; an empty one for a put or a deletion.
    var answers: [RangeAnswer] = []
}

/// One message of a watch stream.
struct WatchMessage: Hashable, Sendable {
    struct Event: Hashable, Sendable {
        var isDeletion = false
        var keyValue = KeyValue()
    }

    var revision: Int64 = 0
    var isCreated = false
    var isCanceled = false
    var cancelReason = ""
    /// Not 0 when the watch was canceled because its start is not kept any more.
    var compactRevision: Int64 = 0
    /// Whether the events of the last revision go on in the next message.
    var isFragment = false
    var events: [Event] = []
    /// The gateway's own complaint.
    var error: GatewayError?
}

extension RangeAnswer {
    init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        self.init()
        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "header": revision = try reader.headerRevision()
            case "kvs":
                try reader.array { (reader) throws(JSONReader.Failure) in
                    keyValues.append(try KeyValue(from: &reader))
                }
            case "more": hasMore = try reader.boolean()
            default: try reader.skip()
            }
        }
    }
}

extension TransactionAnswer {
    init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        self.init()
        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "header": revision = try reader.headerRevision()
            case "succeeded": succeeded = try reader.boolean()
            case "responses":
                try reader.array { (reader) throws(JSONReader.Failure) in
                    var answer = RangeAnswer()
                    try reader.object { (name, reader) throws(JSONReader.Failure) in
                        if name == "response_range" {
                            answer = try RangeAnswer(from: &reader)
                        } else {
                            try reader.skip()
                        }
                    }
                    answers.append(answer)
                }
            default: try reader.skip()
            }
        }
    }
}

extension KeyValue {
    init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        self.init()
        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "key":
                guard let text = String(validating: try reader.base64(), as: UTF8.self) else {
                    throw reader.failure("a key that is not UTF-8")
                }
                key = text
            case "value": value = try reader.base64()
            case "create_revision": createRevision = try reader.int64()
            case "mod_revision": modRevision = try reader.int64()
            default: try reader.skip()
            }
        }
        guard !key.isEmpty else { throw reader.failure("a record without a key") }
    }
}

extension WatchMessage {
    /// One line of a stream.
    init(line: ByteBuffer) throws(JSONReader.Failure) {
        self.init()
        try line.readJSON { (reader) throws(JSONReader.Failure) in
            try reader.object { (name, reader) throws(JSONReader.Failure) in
                switch name {
                case "result":
                    try reader.object { (name, reader) throws(JSONReader.Failure) in try read(name, &reader) }
                case "error": error = try GatewayError(from: &reader)
                default: try reader.skip()
                }
            }
        }
    }

    private mutating func read(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "header": revision = try reader.headerRevision()
        case "created": isCreated = try reader.boolean()
        case "canceled": isCanceled = try reader.boolean()
        case "cancel_reason": cancelReason = try reader.string()
        case "compact_revision": compactRevision = try reader.int64()
        case "fragment": isFragment = try reader.boolean()
        case "events":
            try reader.array { (reader) throws(JSONReader.Failure) in
                var event = Event()
                try reader.object { (name, reader) throws(JSONReader.Failure) in
                    switch name {
                    case "type": event.isDeletion = try reader.string() == "DELETE"
                    case "kv": event.keyValue = try KeyValue(from: &reader)
                    default: try reader.skip()
                    }
                }
                guard event.keyValue.modRevision > 0 else { throw reader.failure("an event without a revision") }
                events.append(event)
            }
        default: try reader.skip()
        }
    }
}

extension JSONReader {
    fileprivate mutating func headerRevision() throws(Failure) -> Int64 {
        var revision: Int64 = 0
        try object { (name, reader) throws(Failure) in
            if name == "revision" { revision = try reader.int64() } else { try reader.skip() }
        }
        return revision
    }

    fileprivate mutating func int64() throws(Failure) -> Int64 {
        guard try kind() == .string else { return try integer() }
        guard let number = Int64(try string()), number >= 0 else { throw failure("expected a number in a string") }
        return number
    }

    fileprivate mutating func base64() throws(Failure) -> Data {
        guard let data = Data(base64Encoded: try string()) else { throw failure("expected base64") }
        return data
    }
}

extension ByteBuffer {
    /// Reads the bytes as one JSON value.
    func readJSON<Value>(
        _ value: (inout JSONReader) throws(JSONReader.Failure) -> Value
    ) throws(JSONReader.Failure) -> Value {
        let bytes = [UInt8](readableBytesView)
        return try JSONReader.read(bytes.span, value)
    }
}
