import Dispatch
import NFTables
import NetworkTypes

/// Hears when anyone else changes our tables.
///
/// What packets do to `affinity-memory` is not announced, and what a person does to it is no damage.
public final class TableWatch: Sendable {
    /// What was changed, once per commit of someone else.
    let drifts: AsyncStream<BackendDrift>
    /// Written once; Dispatch may be called from any thread.
    private nonisolated(unsafe) let source: any DispatchSourceRead
    private let box: Box
    /// All use of the monitor.
    private let queue = DispatchQueue(label: "swiftlet.table-watch")

    /// - Parameters:
    ///   - tableName: the name of our tables.
    ///   - families: those that we serve.
    ///   - monitor: one that ignores our own socket, and does not listen yet.
    public init(_ tableName: String, families: [IPFamily] = IPFamily.allCases, _ monitor: consuming RulesetMonitor) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: BackendDrift.self,
            bufferingPolicy: .bufferingNewest(16)
        )
        drifts = stream
        let tables = families.map { Table(family: Family($0), name: tableName) }
        let descriptor = monitor.fileDescriptor
        let box = Box(monitor)
        self.box = box
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        source.setEventHandler {
            // A socket that cannot be read tells nothing more; what it has told counts.
            while let change = box.next() {
                if let drift = BackendDrift(change, in: tables) { continuation.yield(drift) }
            }
        }
        // Holds the monitor, and with it the descriptor, until the source is done with it.
        source.setCancelHandler {
            continuation.finish()
            withExtendedLifetime(box) {}
        }
        source.resume()
        self.source = source
    }

    /// Begins to listen. Not before the tables are there: as long as somebody listens, the kernel composes a message for
    /// each element, which takes a quarter of the time that a large table needs.
    ///
    /// - Throws: ``NFTablesError``
    func listen() throws {
        try queue.sync { try box.listen() }
    }

    deinit {
        source.cancel()
    }

    /// Unchecked because it is used on one queue.
    private final class Box: @unchecked Sendable {
        private var monitor: RulesetMonitor

        init(_ monitor: consuming RulesetMonitor) {
            self.monitor = monitor
        }

        func next() -> RulesetChange? { try? monitor.next() }
        func listen() throws { try monitor.listen() }
    }
}

extension BackendDrift {
    /// `nil` when the change is of no concern to our tables.
    init?(_ change: RulesetChange, in tables: [Table]) {
        var parts: [String] = []
        for item in change.items {
            guard let table = tables.first(where: { $0.family == item.family && $0.name == item.table }),
                item.object != .elements(set: "affinity-memory")
            else { continue }
            let verb = item.isRemoval ? "removed" : "added"
            let part =
                switch item.object {
                case .table: "table \(table) \(verb)"
                case .chain(let name): "chain \(name) of table \(table) \(verb)"
                case .rule(let chain): "rules of chain \(chain) of table \(table) \(verb)"
                case .set(let name): "set \(name) of table \(table) \(verb)"
                case .elements(let set): "elements of \(set) of table \(table) \(verb)"
                }
            if !parts.contains(part) { parts.append(part) }
        }
        if change.isIncomplete { parts.append("announcements lost") }
        guard !parts.isEmpty else { return nil }
        let shown = parts.prefix(8).joined(separator: ", ")
        self.init(
            what: parts.count > 8 ? "\(shown) and \(parts.count - 8) more" : shown,
            by: "\(change.processName) (thread \(change.threadID))"
        )
    }
}
