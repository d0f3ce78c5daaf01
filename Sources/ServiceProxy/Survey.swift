import Logging
import NetworkTypes

/// Finds out what the surroundings of the backend are.
struct Survey: Sendable {
    let families: Set<IPFamily>
    var nodePortAddresses: NodePortAddresses
    let localDetection: LocalDetection
    /// The addresses of the node's interfaces at this moment, or `nil` when they cannot be told.
    let localAddresses: @Sendable () -> Set<IPAddress>?

    /// - Parameter previous: what was found last; addresses that cannot be read now are no reason to change anything.
    func surroundings(of catalog: Catalog, after previous: Surroundings) -> Surroundings {
        Surroundings(
            nodePorts: nodePorts(on: catalog.node, after: previous.nodePorts),
            localSources: localDetection.sources(on: catalog.node),
            serviceCIDRs: catalog.serviceCIDRs
        )
    }

    private func nodePorts(on node: NodeFacts, after previous: NodePortSelections) -> NodePortSelections {
        let local = nodePortAddresses == .primary ? [] : localAddresses()
        return NodePortSelections(
            uniqueKeysWithValues: families.map { family in
                let known = local == nil ? previous[family] : nil
                return (family, known ?? nodePortAddresses.selection(in: family, node: node, local: local ?? []))
            }
        )
    }

    /// Tells what is new.
    ///
    /// - Parameter old: `nil` at the start.
    func report(_ new: Surroundings, after old: Surroundings?, to logger: Logger) {
        if old?.nodePorts != new.nodePorts {
            logger.info(
                "node ports are served",
                metadata: Dictionary(uniqueKeysWithValues: new.nodePorts.map { ("\($0.key)", "\($0.value)") })
            )
        }
        if old?.localSources != new.localSources {
            logger.info("sources that are pods", metadata: ["pods": "\(new.localSources)"])
            let blind = families.filter { !new.localSources.detects($0) }.sorted { $0.rawValue < $1.rawValue }
            if !blind.isEmpty {
                // Without it the marks of MQ-2 and the way of FE-6 (a) are missing.
                logger.info(
                    "pods cannot be told from other sources: traffic from outside to cluster IPs is not masqueraded",
                    metadata: ["families": .array(blind.map { .string("\($0)") })]
                )
            }
        }
        if (old?.serviceCIDRs ?? []) != new.serviceCIDRs {
            logger.info(
                "cluster IPs that no Service has are dropped",
                metadata: ["serviceCIDRs": .array(new.serviceCIDRs.sorted().map { .string("\($0)") })]
            )
        }
    }
}
