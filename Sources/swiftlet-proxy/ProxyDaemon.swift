import Dispatch
import Glibc
import Logging
import Manifests
import ServiceLifecycle
import ServiceProxy
import StatusServers
import Version

/// The parts of the proxy, put together and run until a signal.
struct ProxyDaemon {
    private let configuration: ProxyConfiguration
    private let values: ProxyCommandLine.Values
    private let configurationFile: ConfigurationFile?
    private let logger: Logger

    /// How long a commit may still take after a signal. Cutting it off is safe: the kernel does all of it or nothing.
    private static let graceInterval = DispatchTimeInterval.milliseconds(800)

    /// - Parameter configurationFile: what the configuration was read from; the run ends when it changes.
    init(
        _ configuration: ProxyConfiguration,
        _ values: ProxyCommandLine.Values,
        _ configurationFile: ConfigurationFile?,
        _ log: ProxyLog
    ) {
        self.configuration = configuration
        self.values = values
        self.configurationFile = configurationFile
        logger = log.logger
    }

    static func problem(withManifests path: String) -> String? {
        ManifestDirectory.problem(with: path)
    }

    func run() async throws {
        try StartCheck.run(logger: logger)
        let source = try configuration.makeObjectSource(logger: logger)
        adjustOOMScore()
        let configuration = configuration
        let logger = logger
        configuration.conntrack.apply(logger: logger)
        let isAPI = if case .api = configuration.source { true } else { false }
        let status = ProxyStatus(
            families: LocalNode.families,
            syncPeriod: configuration.syncPeriod,
            awaitsNode: isAPI
        )
        let replacement = configuration.replacesKubeProxy ? [KubeProxyReplacement(logger: logger)] : []
        let retry = ServiceController.RetryPolicy(
            longestDelay: configuration.syncPeriod,
            minimumInterval: configuration.minSyncPeriod
        )
        let conntrack = ConntrackCleaner(retry: retry, logger: logger)
        let controller = ServiceController(
            node: NodeFacts(name: configuration.nodeName),
            fixedNodeAddress: configuration.nodeAddress,
            planner: configuration.planner,
            awaiting: source.kinds,
            families: LocalNode.families,
            nodePortAddresses: configuration.nodePortAddresses,
            localDetection: configuration.localDetection,
            retry: retry,
            observers: [status, conntrack] + replacement,
            logger: logger,
            makeBackend: { try configuration.makeNFTablesBackend($0, logger: logger) }
        )
        let gate = NodeGate(
            name: configuration.nodeName,
            configuration: values.configuration,
            families: LocalNode.families,
            fixedAddress: configuration.nodeAddress,
            patience: isAPI ? NodeGate.Patience() : .withoutNode,
            logger: logger,
            consumer: { await controller.receive($0) }
        )
        let explainer = try configuration.makeExplainer(of: controller, families: LocalNode.families, logger: logger)
        let pages = StatusPages(status: status, values: values) { await explainer.connectionMetrics() }
        logger.info(
            "starting",
            metadata: [
                "version": "\(swiftletVersion)", "node": "\(configuration.nodeName)",
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
                ] + replacement.map { .init(service: $0) } + servers(pages).map { .init(service: $0) }
                    + configurationWatch.map { .init(service: $0) } + socket(explainer).map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
        logger.info("stopped; the rules stay")
    }

    private func servers(_ pages: StatusPages) -> [ListeningService] {
        let servers: [(String, BindAddress?, StatusServer.Answer)] = [
            ("healthz", configuration.healthServer, { pages.health($0) }),
            ("metrics", configuration.statusServer, { await pages.status($0) }),
        ]
        return servers.compactMap { name, address, answer in
            address.map {
                ListeningService(
                    description: name,
                    address: $0,
                    failsHard: configuration.bindAddressHardFail,
                    logger: logger,
                    answer: answer
                )
            }
        }
    }

    private func socket(_ explainer: ProxyExplainer) -> [LocalSocketService] {
        let pages = ExplainPages(explainer: explainer)
        return configuration.socket.map {
            [LocalSocketService(path: $0, logger: logger) { await pages.answer($0) }]
        } ?? []
    }

    private var configurationWatch: [ConfigurationWatch] {
        configurationFile.map { [ConfigurationWatch(file: $0)] } ?? []
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

    static func cleanUp(_ log: ProxyLog) async throws {
        try await ProxyConfiguration.cleanUpNFTables(logger: log.logger)
        log.logger.info("all rules are removed")
    }
}

/// A part of the daemon that ends by cancellation.
private struct UntilShutdown: ServiceLifecycle.Service, CustomStringConvertible {
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
