import Dispatch
import Glibc
import Logging
import Manifests
import ServiceLifecycle
import ServiceProxy
import Version

/// The parts of the proxy, put together and run until a signal.
struct ProxyDaemon {
    private let configuration: ProxyConfiguration
    private let mode: AvailableMode
    private let running: RunningConfiguration
    private let configurationFile: ConfigurationFile?
    private let logger: Logger

    /// How long a commit may still take after a signal. Cutting it off is safe: the kernel does all of it or nothing.
    private static let graceInterval = DispatchTimeInterval.milliseconds(800)

    /// - Parameter configurationFile: what the configuration was read from; its changes are followed.
    init(
        _ configuration: ProxyConfiguration,
        _ mode: AvailableMode,
        _ running: RunningConfiguration,
        _ configurationFile: ConfigurationFile?,
        _ log: ProxyLog
    ) {
        self.configuration = configuration
        self.mode = mode
        self.running = running
        self.configurationFile = configurationFile
        logger = log.logger
    }

    static func problem(withManifests path: String) -> String? {
        ManifestDirectory.problem(with: path)
    }

    func run() async throws {
        let access = try configuration.makeClusterAccess(logger: logger)
        let source = access.source
        adjustOOMScore()
        let (configuration, mode) = (configuration, mode)
        let logger = logger
        let translates = mode.mode.writesRules
        if translates { configuration.conntrack.apply(logger: logger) }
        let isAPI = if case .api = configuration.source { true } else { false }
        let status = ProxyStatus(
            families: LocalNode.families,
            syncPeriod: configuration.syncPeriod,
            awaitsNode: isAPI,
            mode: mode.mode
        )
        let removal = PredecessorRemoval(mode, replacesKubeProxy: configuration.replacesKubeProxy, logger: logger)
        let healthChecks = HealthCheckNodePorts()
        if mode.mode == .iptables, configuration.countsConnections {
            logger.warning("connections are not counted: iptables mode cannot")
        }
        // Without it addresses are looked at every few seconds.
        let addressWatch = try? AddressWatch()
        defer { withExtendedLifetime(addressWatch) {} }
        let view = OperatorServices(configuration, running, access, status, logger: logger)
        let conntrack = ConntrackCleaner(retry: configuration.retryPolicy, logger: logger) {
            status.cleanedConntrack($0, $1, deleted: $2)
        }
        let controller = ServiceController(
            node: NodeFacts(name: configuration.nodeName),
            fixedNodeAddress: configuration.nodeAddress,
            planner: configuration.planner,
            awaiting: source.kinds,
            families: LocalNode.families,
            nodePortAddresses: configuration.nodePortAddresses,
            localDetection: configuration.localDetection,
            addressChanges: addressWatch?.changes,
            retry: configuration.retryPolicy,
            observers: view.observers + (translates ? [conntrack] : []) + [healthChecks, removal],
            logger: logger,
            makeBackend: { [running] surroundings in
                try running.configuration.makeBackend(
                    mode,
                    surroundings,
                    healthChecks: healthChecks,
                    status: status,
                    logger: logger
                )
            }
        )
        let gate = NodeGate(
            name: configuration.nodeName,
            configuration: running.values.configuration,
            families: LocalNode.families,
            fixedAddress: configuration.nodeAddress,
            patience: isAPI ? NodeGate.Patience() : .withoutNode,
            logger: logger,
            consumer: { await controller.receive($0) }
        )
        let explainer = try configuration.makeExplainer(of: controller, families: LocalNode.families, logger: logger)
        logger.info(
            "starting",
            metadata: [
                "version": "\(swiftletVersion)", "node": "\(configuration.nodeName)", "mode": "\(mode.mode.rawValue)",
                "source": "\(configuration.source)",
                "families": .array(LocalNode.families.map { .string("\($0)") }.sorted { "\($0)" < "\($1)" }),
            ]
        )
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: UntilShutdown(description: "controller") { await controller.run() }),
                    .init(service: UntilShutdown(description: "conntrack") { await conntrack.run() }),
                    .init(
                        service: UntilShutdown(description: "source") {
                            try await source.run { await gate.receive($0) }
                        }
                    ),
                    .init(service: UntilShutdown(description: "node") { try await gate.run() }),
                    .init(service: Deadline(interval: Self.graceInterval)),
                    .init(service: removal),
                ] + view.services(following: configurationFile, controller, explainer).map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
        logger.info(translates ? "stopped; the rules stay" : "stopped; the addresses of Services stay, and refuse")
    }

    private func adjustOOMScore() {
        let score = "\(configuration.oomScoreAdj)"
        let descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor < 0 || Array(score.utf8).withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) < 0
        else { return }
        // Without the capability only higher scores can be set; not worth ending for.
        logger.warning(
            "oom_score_adj stays as it was",
            metadata: ["wanted": "\(score)", "reason": "\(String(cString: strerror(errno)))"]
        )
    }

    /// Removes what any mode has left. What fails does not stop the rest.
    ///
    /// - Throws: the first error, when all has been tried.
    static func cleanUp(_ log: ProxyLog) async throws {
        var failures: [any Error] = []
        do {
            try await ProxyConfiguration.cleanUpNFTables(logger: log.logger)
        } catch  where (try? StartCheck.run(logger: log.logger)) == nil {
            log.logger.warning(
                "tables of nftables mode are not looked for, as this kernel has none or is not ours",
                metadata: ["error": "\(error)"]
            )
        } catch {
            failures.append(error)
        }
        var tools: [String] = []
        do {
            tools = try await IPTablesTools.removeAll()
        } catch {
            failures.append(error)
        }
        do {
            try UserspaceBackend.cleanUp()
        } catch {
            failures.append(error)
        }
        if let first = failures.first {
            for error in failures.dropFirst() {
                log.logger.error("not everything is removed", metadata: ["error": "\(error)"])
            }
            throw first
        }
        log.logger.info(
            "all rules are removed",
            metadata: tools.isEmpty ? nil : ["chainsBy": .array(tools.map { .string($0) })]
        )
    }
}

/// A part of the daemon that ends by cancellation.
struct UntilShutdown: ServiceLifecycle.Service, CustomStringConvertible {
    let description: String
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown(body)
    }
}

/// Ends the process when the others take too long to.
private struct Deadline: ServiceLifecycle.Service, CustomStringConvertible {
    let description = "deadline"
    let interval: DispatchTimeInterval

    func run() async throws {
        try await gracefulShutdown()
        DispatchQueue.global().asyncAfter(deadline: .now() + interval) { exit(0) }
    }
}
