import Logging
import Netlink
import NetworkTypes

extension ProxyConfiguration {
    /// The backend for this configuration and the chosen mode, in the network namespace of this process. The only place
    /// where backends of the program are made.
    ///
    /// - Parameters:
    ///   - healthChecks: the ports that iptables mode has to accept packets for.
    ///   - status: is told what the backend does.
    /// - Throws: when the kernel cannot be spoken to.
    public func makeBackend(
        _ available: AvailableMode,
        _ surroundings: Surroundings,
        healthChecks: HealthCheckNodePorts,
        status: ProxyStatus,
        logger: Logger
    ) throws -> any ServiceBackend {
        switch available.mode {
        case .nftables:
            return try makeNFTablesBackend(
                surroundings,
                onCleanupFailures: { status.cleanupFailed($0, $1) },
                logger: logger
            )
        case .iptables:
            guard let tools = available.tools else { throw IPTablesError.missing("iptables") }
            return IPTablesBackend(
                tools: tools,
                families: surroundings.nodePorts.keys.sorted { $0.rawValue < $1.rawValue },
                options: iptablesOptions(surroundings),
                healthChecks: healthChecks,
                canaryInterval: syncPeriod,
                onRestore: { status.restored($0) },
                logger: logger
            )
        case .userspace:
            return UserspaceBackend(options: userspace.options(surroundings, logger: logger))
        }
    }

    /// Whether a backend that was made for another configuration does not do what this one asks for, in the same
    /// surroundings.
    public func needsNewBackend(after old: ProxyConfiguration) -> Bool {
        // In iptables mode the second is how often the rules are looked at.
        servesLoopback != old.servesLoopback || mode == .iptables && syncPeriod != old.syncPeriod
    }

    /// What needs more rights than the backend has to have later (`--init-only`).
    public func letLoopbackThrough(logger: Logger) {
        if servesLoopback { LoopbackRoutes.enable(by: LoopbackRoutes.enable, logger: logger) }
    }

    private func iptablesOptions(_ surroundings: Surroundings) -> IPTablesOptions {
        // Without connection tracking loaded there is no such setting yet, and 0 is what it begins with.
        let isLiberal = (try? Sysctl("netfilter", "nf_conntrack_tcp_be_liberal")?.read()) ?? "0"
        return IPTablesOptions(
            masqueradeBit: masqueradeBit,
            servesLoopback: servesLoopback,
            dropsInvalid: isLiberal == "0",
            replacesKubeProxy: replacesKubeProxy,
            surroundings
        )
    }
}
