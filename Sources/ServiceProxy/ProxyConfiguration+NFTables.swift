import Logging
import NFTables
import NetworkTypes

extension ProxyConfiguration {
    /// The backend for this configuration, in the network namespace of this process.
    ///
    /// - Throws: when the kernel cannot be spoken to.
    public func makeNFTablesBackend(
        _ surroundings: Surroundings,
        onCleanupFailures: @escaping @Sendable (IPFamily, Int) -> Void = { _, _ in },
        logger: Logger
    ) throws -> some ServiceBackend {
        let socket = try NetfilterSocket()
        let families = surroundings.nodePorts.keys.sorted { $0.rawValue < $1.rawValue }
        let options = nftablesOptions(surroundings)
        return NFTablesBackend(
            kernel: socket,
            families: families,
            options: options,
            watch: TableWatch(
                options.tableName,
                families: families,
                try RulesetMonitor(ignoring: socket.portID)
            ),
            onCleanupFailures: onCleanupFailures,
            logger: logger
        )
    }

    /// What the tables are made from.
    func nftablesOptions(_ surroundings: Surroundings) -> NFTablesOptions {
        NFTablesOptions(masqueradeBit: masqueradeBit, countsConnections: countsConnections, surroundings)
    }

    /// What answers questions about a controller whose backend is of this configuration.
    ///
    /// - Throws: when the kernel cannot be spoken to.
    public func makeExplainer(
        of controller: ServiceController,
        families: Set<IPFamily>,
        logger: Logger
    ) throws -> ProxyExplainer {
        let configuration = self
        // Not the backend's socket: what is read for a person holds up no commit. Other modes have nothing in nftables,
        // which this kernel may not even have.
        let kernel = mode == .nftables ? try NetfilterSocket() : nil
        let counters = kernel.flatMap { kernel in
            countsConnections
                ? ConnectionCounters(
                    kernel,
                    families: Array(families),
                    options: nftablesOptions(Surroundings()),
                    logger: logger
                ) : nil
        }
        return ProxyExplainer(
            controller,
            counters: counters,
            node: TraceNode(kernel: kernel),
            untraceable: mode == .userspace
                ? "there are no rules to follow in userspace mode: the proxy takes the connection itself; "
                    + "see swiftletctl proxy show" : nil
        ) {
            configuration.nftablesOptions($0)
        }
    }

    /// Removes what any swiftlet-proxy has programmed in this network namespace, in both families.
    public static func cleanUpNFTables(logger: Logger) async throws {
        try await NFTablesBackend(kernel: NetfilterSocket(), logger: logger).cleanup()
    }
}
