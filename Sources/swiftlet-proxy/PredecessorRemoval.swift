import Logging
import NetworkTypes
import ServiceLifecycle
import ServiceProxy

/// Removes what came before, once our rules are in place: what this proxy programmed in another mode, and with
/// `--replace-kube-proxy` what kube-proxy has left. So Services work at every moment, by the one or the other. What cannot
/// be removed is named in the log, and does not stop the proxy.
struct PredecessorRemoval: ServiceLifecycle.Service, ControllerObserver, CustomStringConvertible {
    let description = "removal of predecessors"
    private let mode: AvailableMode
    private let replacesKubeProxy: Bool
    private let logger: Logger
    private let commits: AsyncStream<Void>
    private let commit: AsyncStream<Void>.Continuation

    init(_ mode: AvailableMode, replacesKubeProxy: Bool, logger: Logger) {
        self.mode = mode
        self.replacesKubeProxy = replacesKubeProxy
        self.logger = logger
        (commits, commit) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func committed(_ report: CommitReport) {
        if report.succeeded { commit.finish() }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in commits {}
            guard !Task.isCancelled else { return }
            await removeOtherModes()
            if replacesKubeProxy { await removeKubeProxy() }
            try? await Task.sleep(for: .seconds(Int32.max))  // Until it is cancelled.
        }
    }

    private func removeOtherModes() async {
        guard LocalNode.mayAdministerNetwork else { return }
        if mode.mode != .userspace {
            do {
                try UserspaceBackend.cleanUp()
            } catch {
                logger.error("addresses of userspace mode cannot be removed", metadata: ["error": "\(error)"])
            }
        }
        if mode.mode != .nftables {
            do {
                try await ProxyConfiguration.cleanUpNFTables(logger: logger)
            } catch {
                // Without nftables there are no tables either.
                logger.debug("tables of nftables mode are not looked for", metadata: ["error": "\(error)"])
            }
        }
        do {
            let tools = try await IPTablesTools.removeAll(except: mode.tools?.flavour)
            if !tools.isEmpty {
                logger.info(
                    "chains of iptables mode are removed",
                    metadata: ["tools": .array(tools.map { .string($0) })]
                )
            }
        } catch {
            logger.error(
                "chains of iptables mode cannot be removed; run swiftlet-proxy --cleanup and start again",
                metadata: ["error": "\(error)"]
            )
        }
    }

    private func removeKubeProxy() async {
        do {
            let tables = try KubeProxyTables.remove()
            logger.info(
                "kube-proxy's nftables tables are removed",
                metadata: ["tables": .array(tables.map { .string($0) })]
            )
        } catch {
            logger.error("kube-proxy's nftables tables cannot be removed", metadata: ["error": "\(error)"])
        }
        for family in IPFamily.allCases {
            // They keep their rules in different places; where the variants have no names of their own there is one.
            // In iptables mode the chains of our own flavour have been taken over.
            let ours = mode.tools?.flavour
            var hasVariants = ours != nil
            for flavour in [IPTablesFlavour.nft, .legacy] where flavour != ours {
                if await removeChains(flavour, family) { hasVariants = true }
            }
            if !hasVariants { _ = await removeChains(.unnamed, family) }
        }
    }

    /// - Returns: whether there are such tools.
    private func removeChains(_ flavour: IPTablesFlavour, _ family: IPFamily) async -> Bool {
        let tool = flavour.program(family)
        do throws(IPTablesError) {
            let count = try await IPTablesTools(flavour).removeKubeProxy(family)
            guard count > 0 else { return true }
            logger.info("kube-proxy's chains are removed", metadata: ["tool": "\(tool)", "chains": "\(count)"])
        } catch .missing {
            logger.debug("no such tool; what it would find is not looked for", metadata: ["tool": "\(tool)"])
            return false
        } catch {
            logger.error(
                "kube-proxy's chains cannot be removed; run kube-proxy --cleanup on this node",
                metadata: ["tool": "\(tool)", "error": "\(error)"]
            )
        }
        return true
    }
}
