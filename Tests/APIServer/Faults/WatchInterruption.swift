/// What happens to watches that are already open.
public enum WatchInterruption: Hashable, Sendable {
    /// The stream ends as by its timeout, with the last chunk.
    case end
    /// An ERROR event with a Status 410, then the end: the watch was too slow for the history.
    case expire
    /// An ERROR event with a Status 500, then the end.
    case fail
    /// The connection ends in the middle of the stream.
    case cut(Fault.Ending)
    /// Nothing more is sent, though the connection stays open.
    case stall
    /// These bytes come in place of an event; the stream goes on behind them.
    case insert([UInt8])
}
