import Logging
import NFTables
import NetworkTypes

/// Frontends as elements of a few nftables maps: one table for each family, with a number of chains and rules that
/// does not depend on the number of services.
///
/// A change costs in proportion to itself: the kernel is never listed but at the start. Families are independent: when
/// one fails, the other is still carried out.
public actor NFTablesBackend: ServiceBackend {
    private let kernel: any NFTablesKernel
    private var tables: [ProgrammedTable]
    private var options: NFTablesOptions
    private let logger: Logger
    private let watch: TableWatch?
    private var isListening = false
    private let onCleanupFailures: @Sendable (IPFamily, Int) -> Void

    /// - Parameters:
    ///   - kernel: a ``NetfilterSocket`` in the network namespace to serve.
    ///   - watch: tells when others change the tables.
    ///   - onCleanupFailures: hears how often something that nothing uses any more could not be removed yet.
    public init(
        kernel: any NFTablesKernel,
        families: [IPFamily] = IPFamily.allCases,
        options: NFTablesOptions = NFTablesOptions(),
        watch: TableWatch? = nil,
        onCleanupFailures: @escaping @Sendable (IPFamily, Int) -> Void = { _, _ in },
        logger: Logger
    ) {
        self.kernel = kernel
        self.watch = watch
        self.options = options
        self.onCleanupFailures = onCleanupFailures
        tables = families.map { family in
            ProgrammedTable(table: ServiceTable(family: family, options: options), kernel: kernel)
        }
        self.logger = logger
    }

    public nonisolated var drifts: AsyncStream<BackendDrift> { watch?.drifts ?? AsyncStream { $0.finish() } }

    public func start(with frontends: [Frontend]) async throws -> BackendStart {
        guard let watch, !isListening else { return try startTables(with: frontends) }
        let before = try kernel.generation() &- kernel.commitCount
        var result = try startTables(with: frontends)
        try watch.listen()
        isListening = true
        // Until now nobody has listened to what others do.
        guard try kernel.generation() &- kernel.commitCount != before else { return result }
        let second = try startTables(with: frontends)
        result.changes += second.changes
        result.refused = second.refused
        result.removed.formUnion(second.removed)
        return result
    }

    private func startTables(with frontends: [Frontend]) throws -> BackendStart {
        var result = BackendStart()
        result.refused = try forEachTable { table in
            let family = table.table.family
            // Mostly there is one family, and no need of a copy.
            let isOnly = frontends.allSatisfy { $0.key.family == family }
            let start = try table.start(with: isOnly ? frontends : frontends.filter { $0.key.family == family })
            result.findings[family] = start.finding
            result.changes += start.changes
            result.removed.formUnion(start.removed)
            logger.info(
                "nftables table is in place",
                metadata: [
                    "table": "\(table.table.table)", "finding": "\(start.finding)", "changes": "\(start.changes)",
                ]
            )
            return start.refused
        }
        return result
    }

    public func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend] {
        try forEachTable { table in
            let family = table.table.family
            return try table.apply(changes.filter { $0.family == family })
        }
    }

    public func adapt(to surroundings: Surroundings) async throws -> Bool {
        var wanted = options
        wanted.surroundings = surroundings
        let canAdapt = tables.allSatisfy { programmed in
            programmed.table.hasSameRules(as: ServiceTable(family: programmed.table.family, options: wanted))
        }
        guard canAdapt else { return false }
        options = wanted
        _ = try forEachTable { programmed in
            try programmed.adapt(to: ServiceTable(family: programmed.table.family, options: wanted))
            return []
        }
        return true
    }

    public func cleanup() async throws {
        _ = try forEachTable { table in
            try table.remove()
            return []
        }
    }

    /// Goes on with the other family when one fails, and then throws the first error.
    private func forEachTable(
        _ body: (inout ProgrammedTable) throws -> [RefusedFrontend]
    ) throws -> [RefusedFrontend] {
        var refused: [RefusedFrontend] = []
        var failure: (any Error)?
        var failedFamilies: Set<IPFamily> = []
        for index in tables.indices {
            do {
                refused += try body(&tables[index])
            } catch {
                logger.error(
                    "nftables table not programmed",
                    metadata: ["table": "\(tables[index].table.table)", "error": "\(error)"]
                )
                failure = failure ?? error
                failedFamilies.insert(tables[index].table.family)
            }
            let count = tables[index].takeCleanupFailures()
            if count > 0 { onCleanupFailures(tables[index].table.family, count) }
        }
        if let failure { throw FamilyFailure(families: failedFamilies, reason: failure) }
        return refused
    }
}

extension FrontendChange {
    fileprivate var family: IPFamily {
        switch self {
        case .add(let frontend), .remove(let frontend), .replace(_, let frontend): frontend.key.family
        }
    }
}
