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
    private let logger: Logger

    /// How long a commit may still take after a signal. Cutting it off is safe: the kernel does all of it or nothing.
    private static let graceInterval = DispatchTimeInterval.milliseconds(800)

    init(_ configuration: ProxyConfiguration, _ log: ProxyLog) {
        self.configuration = configuration
        logger = log.logger
    }

    static func problem(withManifests path: String) -> String? {
        ManifestDirectory.problem(with: path)
    }

    func run() async throws {
        let source = try configuration.makeObjectSource(logger: logger)
        let configuration = configuration
        let logger = logger
        let controller = ServiceController(
            node: NodeFacts(name: configuration.nodeName),
            planner: configuration.planner,
            awaiting: source.kinds,
            families: LocalNode.families,
            nodePortAddresses: configuration.nodePortAddresses,
            logger: logger,
            makeBackend: { nodePorts in try configuration.makeNFTablesBackend(nodePorts, logger: logger) }
        )
        logger.info(
            "starting",
            metadata: [
                "version": "\(swiftletVersion)", "node": "\(configuration.nodeName)",
                "source": "\(configuration.source)",
                "families": .array(LocalNode.families.map { .string("\($0)") }.sorted { "\($0)" < "\($1)" }),
                "podsAreIn": .array(configuration.clusterCIDRs.values.sorted().map { .string("\($0)") }),
            ]
        )
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: UntilShutdown(description: "controller") { await controller.run() }),
                    .init(
                        service: UntilShutdown(description: "source") {
                            try await source.run { await controller.receive($0) }
                        }
                    ),
                    .init(service: Deadline(interval: Self.graceInterval)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger
            )
        )
        try await group.run()
        logger.info("stopped; the rules stay")
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
