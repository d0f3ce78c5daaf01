import ClusterClient

/// A record that is not what its key says. It is named, left out and left as it is, so that one bad record stops nothing
/// that does not need it.
public struct UnreadableRecord: Hashable, Sendable, CustomStringConvertible {
    public let key: RecordKey
    /// Which record it is, and what is wrong with it.
    public let problem: String

    public init(_ key: RecordKey, _ error: IPAMError) {
        self.key = key
        problem = if case .inconsistent(let problem) = error { problem } else { error.description }
    }

    public var description: String { problem }
}

extension [UnreadableRecord] {
    /// The records whose values can be read; the others are appended.
    mutating func readable<Value>(
        _ records: some Sequence<Record>,
        _ read: (Record) throws(IPAMError) -> Value
    ) -> [Value] {
        records.compactMap { record in
            do throws(IPAMError) {
                return try read(record)
            } catch {
                append(UnreadableRecord(record.key, error))
                return nil
            }
        }
    }

    /// Tells of each to somebody who can do without it; where there is nobody, the first is an error.
    func leaveOut(telling listener: ((UnreadableRecord) -> Void)?) throws(IPAMError) {
        for record in self {
            guard let listener else { throw .inconsistent(record.problem) }
            listener(record)
        }
    }

    /// What there is to add to a message about something that these may have been needed for; empty when there are none.
    var note: String {
        isEmpty ? "" : "; left out, as it cannot be read: " + map(\.problem).joined(separator: "; ")
    }
}
