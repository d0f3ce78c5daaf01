import Logging
import NFTables
import NetworkTypes

extension ProxyConfiguration {
    /// The backend for this configuration, in the network namespace of this process.
    ///
    /// - Throws: when the kernel cannot be spoken to.
    public func makeNFTablesBackend(
        _ nodePorts: NodePortSelections,
        logger: Logger
    ) throws -> some ServiceBackend {
        try NFTablesBackend(
            kernel: NetfilterSocket(),
            families: nodePorts.keys.sorted { $0.rawValue < $1.rawValue },
            options: NFTablesOptions(
                masqueradeBit: masqueradeBit,
                localSources: clusterCIDRs.values.sorted(),
                nodePortAddresses: nodePorts
            ),
            logger: logger
        )
    }

    /// Removes what any swiftlet-proxy has programmed in this network namespace, in both families.
    public static func cleanUpNFTables(logger: Logger) async throws {
        try await NFTablesBackend(kernel: NetfilterSocket(), logger: logger).cleanup()
    }
}
