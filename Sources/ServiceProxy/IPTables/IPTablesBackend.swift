import Logging
import NetworkTypes

/// Frontends as chains and rules of iptables, laid out as kube-proxy does. For hosts without a recent nftables.
///
/// A change writes the chains of its service port and nothing else, in one run of `iptables-restore` for each table that
/// it concerns. What is there is read at a start, and after a failure.
public actor IPTablesBackend: ServiceBackend {
    private var tables: [ProgrammedChains]
    private let families: [IPFamily]
    private let options: IPTablesOptions
    private let tools: IPTablesTools
    private let healthChecks: HealthCheckNodePorts
    private let canary: IPTablesCanary
    private let enableLocalRoutes: @Sendable () throws -> Void
    private let onRestore: @Sendable (IPTablesRestore) -> Void
    private let logger: Logger

    public nonisolated let drifts: AsyncStream<BackendDrift>

    /// - Parameters:
    ///   - tools: of the flavour that this node uses, in the network namespace to serve.
    ///   - healthChecks: the ports that have to be reachable besides; looked at with each change.
    ///   - canaryInterval: how often to look whether the rules are still there.
    ///   - enableLocalRoutes: lets packets with addresses of 127.0.0.0/8 through, where node ports are served there;
    ///     `nil` for the network namespace of this process.
    ///   - onRestore: hears of each attempt to write.
    public init(
        tools: IPTablesTools,
        families: [IPFamily] = IPFamily.allCases,
        options: IPTablesOptions,
        healthChecks: HealthCheckNodePorts = HealthCheckNodePorts(),
        canaryInterval: Duration = .seconds(30),
        enableLocalRoutes: (@Sendable () throws -> Void)? = nil,
        onRestore: @escaping @Sendable (IPTablesRestore) -> Void = { _ in },
        logger: Logger
    ) {
        self.tools = tools
        self.families = families
        self.options = options
        self.healthChecks = healthChecks
        self.enableLocalRoutes = enableLocalRoutes ?? LoopbackRoutes.enable
        self.onRestore = onRestore
        self.logger = logger
        tables = families.flatMap { family in
            RuleTable.allCases.map { ProgrammedChains($0, family, options) }
        }
        let (drifts, drift) = AsyncStream.makeStream(of: BackendDrift.self, bufferingPolicy: .bufferingNewest(8))
        self.drifts = drifts
        canary = IPTablesCanary(tools: tools, families: families, interval: canaryInterval, drift)
    }

    // MARK: Start

    public func start(with frontends: [Frontend]) async throws -> BackendStart {
        var result = BackendStart()
        var refusals: [ServicePortName: String] = [:]
        try await forEachFamily { family in
            var ports: [ServicePortName: [Frontend]] = [:]
            for frontend in frontends where frontend.key.family == family {
                ports[frontend.servicePort, default: []].append(frontend)
            }
            let saved = SavedTable.all(in: try await tools.save(family))
            try refuseForeign(saved, family)
            result.findings[family] = finding(saved)
            // What is not translated is rejected or dropped meanwhile only if that was so before.
            for index in tables.indices where tables[index].family == family {
                let table = tables[index].table
                let plan = tables[index].startPlan(
                    from: saved[table.rawValue] ?? SavedTable(),
                    to: ports,
                    healthChecks: healthChecks.current(family)
                )
                let refused = try await carryOut(plan, family)
                refusals.merge(refused) { first, _ in first }
                result.removed.formUnion(plan.removed)
                result.changes += plan.whole.count
                tables[index].start(
                    with: ports,
                    healthChecks: healthChecks.current(family),
                    total: plan.total,
                    except: Set(refused.keys)
                )
                // Only now packets from elsewhere to these addresses are dropped.
                if options.servesLoopback, family == .ipv4, table == .filter {
                    LoopbackRoutes.enable(by: enableLocalRoutes, logger: logger)
                }
            }
            logger.info(
                "iptables chains are in place",
                metadata: [
                    "family": "\(family)", "tool": "\(tools.flavour.program(family))",
                    "finding": "\(result.findings[family]?.rawValue ?? "")", "changes": "\(result.changes)",
                ]
            )
        }
        result.refused = frontends.compactMap { frontend in
            refusals[frontend.servicePort].map { RefusedFrontend(change: .add(frontend), reason: $0) }
        }
        await canary.watch()
        return result
    }

    private func refuseForeign(_ saved: [String: SavedTable], _ family: IPFamily) throws(IPTablesError) {
        guard !options.replacesKubeProxy, !saved.values.contains(where: \.hasCanary),
            saved.values.contains(where: \.isInUse)
        else { return }
        throw .foreign("the tables of \(tools.flavour.program(family))")
    }

    private func finding(_ saved: [String: SavedTable]) -> BackendStart.Finding {
        guard saved.values.contains(where: \.isInUse) else { return .created }
        return saved.values.contains(where: \.hasCanary) ? .adopted : .replaced
    }

    /// All at once if possible; else what can be, and what cannot is set aside.
    ///
    /// - Returns: the service ports that were refused, and why.
    private func carryOut(_ plan: StartPlan, _ family: IPFamily) async throws -> [ServicePortName: String] {
        if plan.whole.count <= StartPlan.runLimit {
            do throws(IPTablesError) {
                try await restore(plan.whole, family, isWhole: true, total: plan.total)
                return [:]
            } catch {
                guard case .failed(_, let reason) = error else { throw error }
                logger.warning(
                    "iptables refused a change; looking for what it does not take",
                    metadata: ["family": "\(family)", "table": "\(plan.whole.table)", "reason": "\(reason)"]
                )
            }
        }
        try await restore(plan.fixed, family, isWhole: true, total: plan.total)
        var refused: [ServicePortName: String] = [:]
        var waiting = Array(plan.runs.reversed())
        while let units = waiting.popLast() {
            guard !units.isEmpty else { continue }
            var script = RestoreScript(plan.whole.table)
            for unit in units { script.add(unit.change) }
            do throws(IPTablesError) {
                try await restore(script, family, isWhole: true, total: plan.total)
            } catch {
                guard case .failed(_, let reason) = error else { throw error }
                if units.count > 1 {
                    let middle = units.startIndex + units.count / 2
                    waiting += [units[middle...], units[..<middle]]
                } else if let port = units.first?.port {
                    refused[port] = reason
                } else {
                    notRemoved(reason, family)
                }
            }
        }
        do throws(IPTablesError) {
            // Chains of what was refused may be among them; then all stay.
            if refused.isEmpty { try await restore(plan.leftovers, family, isWhole: true, total: plan.total) }
        } catch {
            notRemoved("\(error)", family)
        }
        return refused
    }

    private func notRemoved(_ reason: String, _ family: IPFamily) {
        logger.warning(
            "rules that nothing uses cannot be removed",
            metadata: ["family": "\(family)", "reason": "\(reason)"]
        )
    }

    // MARK: Changes

    /// A health check of its Service may come, go or move while its frontends stay.
    public func hasOwnChanges() async -> Bool {
        tables.contains { $0.isStale(healthChecks.current($0.family)) }
    }

    public func apply(_ changes: [FrontendChange]) async throws -> [RefusedFrontend] {
        var refusals: [ServicePortName: String] = [:]
        try await forEachFamily { family in
            let changes = changes.filter { $0.key.family == family }
            var batches = tables.indices.filter { tables[$0].family == family }.map { index in
                (index, tables[index].batch(changes, healthChecks: healthChecks.current(family)))
            }
            // Who loses its endpoints is refused before it is translated no longer; else the other way round.
            if batches.contains(where: { tables[$0.0].table == .filter && $0.1.adds }) { batches.reverse() }
            for (index, batch) in batches {
                do throws(IPTablesError) {
                    try await restore(batch.script, family, isWhole: false, total: batch.total)
                } catch {
                    guard case .failed(_, let reason) = error else { throw error }
                    // Whose fault it is comes out when everything is compared.
                    throw ServiceBackendError.lost(
                        "what table \(batch.script.table.rawValue) of \(tools.flavour.program(family)) had, as \(reason),"
                    )
                }
                let refused = try await retry(batch, of: tables[index])
                tables[index].took(batch, except: Set(refused.keys))
                refusals.merge(refused) { first, _ in first }
            }
        }
        return changes.compactMap { change in
            guard let port = change.new?.servicePort ?? change.old?.servicePort else { return nil }
            return refusals[port].map { RefusedFrontend(change: change, reason: $0) }
        }
    }

    /// The service ports of a batch whose last change was refused, each for itself.
    private func retry(
        _ batch: ProgrammedChains.Batch,
        of table: ProgrammedChains
    ) async throws -> [ServicePortName: String] {
        guard !batch.uncertain.isEmpty else { return [:] }
        let saved = SavedTable(table.table, in: try await tools.save(table.family, table.table))
        var refused: [ServicePortName: String] = [:]
        for port in batch.uncertain {
            var script = RestoreScript(table.table)
            script.add(table.change(of: port, to: batch.ports[port] ?? [], from: saved))
            do throws(IPTablesError) {
                try await restore(script, table.family, isWhole: false, total: batch.total)
            } catch {
                guard case .failed(_, let reason) = error else { throw error }
                refused[port] = reason
            }
        }
        return refused
    }

    public func cleanup() async throws {
        await canary.rest()
        try await forEachFamily { family in _ = try await tools.removeAll(family) }
        tables = tables.map { ProgrammedChains($0.table, $0.family, options) }
    }

    // MARK: Helpers

    private func restore(
        _ script: RestoreScript,
        _ family: IPFamily,
        isWhole: Bool,
        total: Int
    ) async throws(IPTablesError) {
        guard !script.isEmpty else { return }
        var report = IPTablesRestore(
            family: family,
            table: script.table.rawValue,
            isWhole: isWhole,
            ruleCount: script.ruleCount,
            total: total
        )
        do throws(IPTablesError) {
            if try await tools.restore(script, family) {
                logger.notice("the xtables lock was held by another program, and waited for")
            }
            onRestore(report)
        } catch {
            report.succeeded = false
            onRestore(report)
            throw error
        }
    }

    /// Goes on with the other family when one fails, and then throws the first error.
    private func forEachFamily(_ body: (IPFamily) async throws -> Void) async throws {
        var failure: (any Error)?
        var failed: Set<IPFamily> = []
        for family in families {
            do {
                try await body(family)
            } catch {
                logger.error(
                    "iptables is not programmed",
                    metadata: ["family": "\(family)", "error": "\(error)"]
                )
                failure = failure ?? error
                failed.insert(family)
            }
        }
        if let failure { throw FamilyFailure(families: failed, reason: failure) }
    }
}

/// An attempt to write rules, for metrics.
public struct IPTablesRestore: Hashable, Sendable {
    public let family: IPFamily
    public let table: String
    /// Whether everything was compared, not only what had changed.
    public let isWhole: Bool
    /// Rules that were written.
    public let ruleCount: Int
    /// Rules that there are then.
    public let total: Int
    public var succeeded = true
}
