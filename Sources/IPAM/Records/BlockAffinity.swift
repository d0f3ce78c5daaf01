import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes

/// The record that a host wants or has a block (2.4).
public struct BlockAffinity: Hashable, Sendable {
    public enum State: String, Hashable, Sendable {
        /// Wanted; means nothing to anyone else (A1).
        case pending
        /// Owned.
        case confirmed
        /// About to be given up.
        case pendingDeletion
    }

    public var state: State
    public var isDeleted: Bool

    public init(_ state: State, isDeleted: Bool = false) {
        self.state = state
        self.isDeleted = isDeleted
    }

    public var json: Data {
        JSONWriter.object { writer in
            writer.name("state")
            writer.string(state.rawValue)
            writer.name("deleted")
            writer.boolean(isDeleted)
        }
    }

    /// Old data has no state, or no value at all, and means confirmed.
    public init(json: Data) throws(MalformedRecord) {
        var state = State.confirmed
        var isDeleted = false
        if !json.isEmpty {
            try JSONReader.record(json) { (reader) throws(JSONReader.Failure) in
                try reader.object { (name, reader) throws(JSONReader.Failure) in
                    switch name {
                    case "state":
                        let text = try reader.string()
                        guard let known = text.isEmpty ? .confirmed : State(rawValue: text) else {
                            throw reader.failure("unknown state \"\(text)\"")
                        }
                        state = known
                    case "deleted":
                        isDeleted = try reader.flag()
                    default:
                        try reader.skip()
                    }
                }
            }
        }
        self.init(state, isDeleted: isDeleted)
    }
}
