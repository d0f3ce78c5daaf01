import NFTables
import NetworkTypes

extension ServiceTable {
    /// The sets and maps of a table.
    struct Maps: Hashable, Sendable {
        /// The maps of each scope.
        struct Scoped: Hashable, Sendable {
            let frontends: NamedSet
            let farFrontends: NamedSet
            let nearFrontends: NamedSet
            let noEndpoints: NamedSet
            let backends: NamedSet
            let nearBackends: NamedSet
            /// Whose memory of clients a frontend uses, where it has session affinity, and then its backends (SA-1).
            let affinity: NamedSet
            let nearAffinity: NamedSet
            let affinityBackends: NamedSet
            let nearAffinityBackends: NamedSet
            /// Every frontend, each with a counter of the new connections that look for it; only where they are counted.
            /// A set of its own, because an element that is replaced, as verdicts are, starts to count again.
            let connections: NamedSet?

            var all: [NamedSet] {
                [connections].compactMap { $0 } + [
                    frontends, farFrontends, nearFrontends, noEndpoints, backends, nearBackends, affinity,
                    nearAffinity, affinityBackends, nearAffinityBackends,
                ]
            }

            /// Where the slots of a list are.
            func backends(isNear: Bool, remembersClients: Bool) -> NamedSet {
                remembersClients
                    ? (isNear ? nearAffinityBackends : affinityBackends) : (isNear ? nearBackends : backends)
            }
        }

        let service: Scoped
        let nodePort: Scoped
        /// The chains that the numbers in `frontends` and its like stand for.
        let frontendChains: NamedSet
        let bySourceChains: NamedSet
        /// Connections of local endpoints to themselves (MQ-5).
        let hairpin: NamedSet
        let clusterIPs: NamedSet
        let nodePortAddresses: NamedSet
        let localSources: NamedSet
        /// The ranges of all cluster IPs, those included that no Service has.
        let serviceCIDRs: NamedSet
        /// Frontends that only some may use (FW-1).
        let restricted: NamedSet
        let allowedSources: NamedSet
        /// The endpoint of each client, by scope; the packets of the clients write it. When it is full, clients that
        /// are not in it spread.
        let affinityMemory: NamedSet
        /// The endpoints that each scope has now: what is remembered counts only if it is among them (SA-2, SA-4).
        let affinityEndpoints: NamedSet

        init(_ family: IPFamily, countsConnections: Bool) {
            let source: Field = family == .ipv4 ? .sourceIPv4 : .sourceIPv6
            let destination: Field = family == .ipv4 ? .destinationIPv4 : .destinationIPv6
            // The word in front holds the end of the client's address, see `rules(of:)`.
            let remembered: [Field] = [family == .ipv4 ? source : .mark, .mark, destination, .destinationPort]
            func scoped(_ scope: Scope) -> Scoped {
                let ports: [Field] = [.transport, .destinationPort]
                let key = scope == .service ? [destination] + ports : ports
                func chains(_ name: String) -> NamedSet {
                    NamedSet(scope.prefix + name, key: key, content: .fields([.priority]))
                }
                func scopes(_ name: String) -> NamedSet {
                    NamedSet(scope.prefix + name, key: key, content: .fields(Array(remembered.prefix(2))))
                }
                func endpoints(_ name: String, _ content: [Field] = [destination, .destinationPort]) -> NamedSet {
                    // The modulus is the chain's affair; `typeof` wants one, and the type is the same for all.
                    NamedSet(
                        scope.prefix + name,
                        key: key + [.random(modulus: 2)],
                        content: .fields(content)
                    )
                }
                return Scoped(
                    frontends: chains("frontends"),
                    farFrontends: chains("far-frontends"),
                    nearFrontends: chains("near-frontends"),
                    noEndpoints: NamedSet(scope.prefix + "no-endpoints", key: key, content: .verdict),
                    backends: endpoints("backends"),
                    nearBackends: endpoints("near-backends"),
                    affinity: scopes("affinity"),
                    nearAffinity: scopes("near-affinity"),
                    affinityBackends: endpoints("affinity-backends", remembered),
                    nearAffinityBackends: endpoints("near-affinity-backends", remembered),
                    connections: countsConnections
                        ? NamedSet(scope.prefix + "connections", key: key, countsPackets: true) : nil
                )
            }
            service = scoped(.service)
            nodePort = scoped(.nodePort)
            frontendChains = NamedSet("frontend-chains", key: [.priority], content: .verdict)
            bySourceChains = NamedSet("by-source-chains", key: [.priority], content: .verdict)
            hairpin = NamedSet("hairpin", key: [source, destination, .transport, .destinationPort])
            clusterIPs = NamedSet("cluster-ips", key: [destination])
            nodePortAddresses = NamedSet("nodeport-addresses", key: [destination])
            localSources = NamedSet("local-sources", key: [source], isInterval: true)
            serviceCIDRs = NamedSet("service-cidrs", key: [destination], isInterval: true)
            restricted = NamedSet("restricted", key: [destination, .transport, .destinationPort])
            allowedSources = NamedSet(
                "allowed-sources",
                key: [source, destination, .transport, .destinationPort],
                isInterval: true
            )
            affinityMemory = NamedSet(
                "affinity-memory",
                key: [source, .mark],
                content: .fields(remembered),
                isDynamic: true,
                timeout: 10_800_000,
                size: 131_072
            )
            affinityEndpoints = NamedSet("affinity-endpoints", key: [.mark, destination, .destinationPort])
        }

        /// Those that have the slots of lists.
        var slots: [NamedSet] {
            [service, nodePort].flatMap {
                [$0.backends, $0.nearBackends, $0.affinityBackends, $0.nearAffinityBackends]
            }
        }

        /// Those that have the chain of each number.
        var chains: [NamedSet] { [frontendChains, bySourceChains] }

        subscript(scope: Scope) -> Scoped { scope == .service ? service : nodePort }

        var all: [NamedSet] {
            service.all + nodePort.all
                + [
                    frontendChains, bySourceChains, hairpin, clusterIPs, serviceCIDRs, nodePortAddresses, localSources,
                    restricted, allowedSources,
                    affinityMemory, affinityEndpoints,
                ]
        }
    }
}
