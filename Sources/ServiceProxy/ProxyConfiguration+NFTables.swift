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
        let options = NFTablesOptions(masqueradeBit: masqueradeBit, surroundings)
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

    /// Removes what any swiftlet-proxy has programmed in this network namespace, in both families.
    public static func cleanUpNFTables(logger: Logger) async throws {
        try await NFTablesBackend(kernel: NetfilterSocket(), logger: logger).cleanup()
    }
}
