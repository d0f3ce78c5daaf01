import Logging
import NFTables
import NetworkTypes

/// How many new connections each frontend has seen, read from the kernel when somebody asks: nothing is done for it when a
/// change is programmed.
///
/// What the kernel counts are the first packets of connections that look for the frontend, those that find no endpoint
/// included, and those of sources that are not allowed left out. The counters live in the table, so a restart of the
/// daemon does not set them back.
public actor ConnectionCounters {
    private let kernel: any NFTablesKernel
    private let tables: [ServiceTable]
    private let logger: Logger
    private var latest: [Frontend.Key: UInt64] = [:]
    private var isRead: ContinuousClock.Instant?

    /// The kernel is asked no more often than this, whoever scrapes.
    static let validity = Duration.seconds(1)

    /// - Parameter kernel: a socket of its own, so that a listing holds up no commit.
    public init(_ kernel: any NFTablesKernel, families: [IPFamily], options: NFTablesOptions, logger: Logger) {
        self.kernel = kernel
        var options = options
        options.countsConnections = true
        tables = families.map { ServiceTable(family: $0, options: options) }
        self.logger = logger
    }

    /// The counts by frontend. When they cannot be read, those from before.
    public func current() -> [Frontend.Key: UInt64] {
        let now = ContinuousClock.now
        if let isRead, now - isRead < Self.validity { return latest }
        isRead = now
        var counts: [Frontend.Key: UInt64] = [:]
        counts.reserveCapacity(latest.count)
        for table in tables {
            for scope in Scope.allCases {
                if let set = table.maps[scope].connections { read(set, scope, table, into: &counts) }
            }
        }
        latest = counts
        return counts
    }

    private func read(
        _ set: NamedSet,
        _ scope: Scope,
        _ table: ServiceTable,
        into counts: inout [Frontend.Key: UInt64]
    ) {
        var found: [Frontend.Key: UInt64] = [:]
        do {
            try kernel.elements(of: set.name, in: table.table, restart: {}) { element in
                guard let key = KeyReader(element.key).frontend(scope, table.family) else { return }
                found[key] = element.packets ?? 0
            }
        } catch {
            // A listing that others' commits keep cutting short misses some frontends; those keep what they had.
            for (key, count) in latest where key.scope == scope && key.family == table.family {
                counts[key] = count
            }
            if (error as? NFTablesError) != .unsteady {
                logger.warning("connections cannot be counted", metadata: ["set": "\(set.name)", "error": "\(error)"])
            }
        }
        counts.merge(found) { _, new in new }
    }
}
