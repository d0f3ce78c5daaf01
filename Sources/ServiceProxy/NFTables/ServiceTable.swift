import NFTables
import NetworkTypes

/// The table of one family: every set, chain and rule that does not depend on which services there are.
///
/// ```
/// prerouting, output ─> services ─ map @frontends vmap @frontend-chains ─> pick-N: dnat to … map @backends
///                                └ map @nodeport-frontends … ─> nodeport-pick-N: dnat to … map @nodeport-backends
/// ```
///
/// `frontends` has a number for each frontend and `frontend-chains` the chain of each number (see ``ChainNumbers``). From
/// one map to the other the number travels in the packet, as its `meta priority`: no routing or connection tracking looks
/// at that, and the chain sets it back. Only the first packet of a connection comes this way.
///
/// A frontend whose traffic from this node and its pods goes elsewhere (``Frontend/nearRoute``) points at `by-source`,
/// which looks into `near-frontends` for such sources and into `far-frontends` for the others.
struct ServiceTable: Hashable, Sendable {
    /// Raised whenever a table of an older make cannot be changed into one of this make by comparing.
    static let layoutVersion = 2

    let family: IPFamily
    let table: Table
    let options: NFTablesOptions

    init(family: IPFamily, options: NFTablesOptions) {
        self.family = family
        self.options = options
        table = Table(
            family: Family(family),
            name: options.tableName,
            comment: "swiftlet-proxy \(family), layout \(Self.layoutVersion)"
        )
        maps = Maps(family, countsConnections: options.countsConnections)
    }

    /// Whether anything says which sources are pods.
    var hasLocalDetector: Bool { options.surroundings.localSources.detects(family) }

    // MARK: Sets and maps

    let maps: Maps

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

    /// The elements that follow from the options alone.
    var fixedElements: [(set: NamedSet, elements: [Element])] {
        var addresses: [Element] = []
        let surroundings = options.surroundings
        if case .only(let wanted)? = surroundings.nodePorts[family] {
            // Loopback addresses never serve (section 1.7).
            addresses = Set(wanted.filter { $0.family == family && !$0.isLoopback }).map { Element(Key.address($0)) }
        }
        return [
            (maps.nodePortAddresses, addresses),
            (maps.localSources, Self.ranges(surroundings.localSources.prefixes(family))),
            (maps.serviceCIDRs, Self.ranges(surroundings.serviceCIDRs.filter { $0.family == family })),
        ]
    }

    private static func ranges(_ prefixes: some Sequence<CIDR>) -> [Element] {
        merge(prefixes.map { $0.masked.address...$0.lastAddress })
            .map { Element(Key.address($0.lowerBound), through: Key.address($0.upperBound)) }
    }

    /// Writes all of the table that does not depend on which services there are.
    func addStructure(to transaction: inout Transaction) {
        transaction.addTable()
        for set in maps.all { transaction.add(set) }
        for chain in Self.chains { transaction.add(chain) }
        for (set, elements) in fixedElements {
            for element in elements { transaction.add(element, to: set, exclusively: true) }
        }
        for scope in Scope.allCases {
            transaction.add(ChainNumbers.bySourceElement(scope), to: maps.frontendChains, exclusively: true)
        }
        for rule in rules { transaction.add(rule) }
    }

    /// Whether the other table differs from this one by no more than ``fixedElements``.
    func hasSameRules(as other: ServiceTable) -> Bool {
        guard other.table == table, other.options.masqueradeMark == options.masqueradeMark, rules == other.rules,
            hasLocalDetector == other.hasLocalDetector
        else { return false }
        // Which rules a pick chain has depends on what is local, and on nothing else.
        let pick = PickChain(marking: .unlessLocal, scope: .service, isNear: false, count: 1)
        return rules(of: pick) == other.rules(of: pick)
    }

    /// Joins ranges that overlap or touch: the kernel refuses overlaps (FW-6).
    static func merge(_ ranges: [ClosedRange<IPAddress>]) -> [ClosedRange<IPAddress>] {
        var merged: [ClosedRange<IPAddress>] = []
        for range in ranges.sorted(by: { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }) {
            if let last = merged.last,
                range.lowerBound <= last.upperBound || last.upperBound.advanced(by: 1) == range.lowerBound
            {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    // MARK: Chains and rules

    /// dstnat, and ten before it: what has to see packets before they are translated.
    private static let translation: Int32 = -100
    private static let beforeTranslation: Int32 = -110
    /// srcnat
    private static let sourceTranslation: Int32 = 100

    static let chains: [Chain] = [
        Chain("services"),
        Chain("by-source"),
        Chain("nodeport-by-source"),
        Chain("refuse"),
        Chain("check-sources"),
        Chain("check-endpoints"),
        Chain("check-cluster-ips"),
        Chain("filter-prerouting", base: Chain.Base(.filter, .prerouting, priority: beforeTranslation)),
        Chain("filter-output-first", base: Chain.Base(.filter, .output, priority: beforeTranslation)),
        Chain("nat-prerouting", base: Chain.Base(.nat, .prerouting, priority: translation)),
        Chain("nat-output", base: Chain.Base(.nat, .output, priority: translation)),
        Chain("nat-postrouting", base: Chain.Base(.nat, .postrouting, priority: sourceTranslation)),
        Chain("filter-input", base: Chain.Base(.filter, .input, priority: 0)),
        Chain("filter-forward", base: Chain.Base(.filter, .forward, priority: 0)),
        Chain("filter-output", base: Chain.Base(.filter, .output, priority: 0)),
    ]

    var rules: [Rule] {
        let new = Match.newConnection
        return dispatch(.service) + dispatch(.nodePort) + bySource(.service) + bySource(.nodePort) + [
            // A reset is as clear as an ICMP error, and the kernel sends as many as it takes.
            Rule(
                chain: "refuse",
                [
                    .meta(.transport, into: Register(0)),
                    .compare(Register(0), .equal, [TransportProtocol.tcp.rawValue]), .reject(.tcpReset),
                ]
            ),
            Rule(chain: "refuse", [.reject(.portUnreachable(match.family))]),
            Rule(
                chain: "check-sources",
                match.service + [.lookup(Register(0), in: maps.restricted.name)] + match.fullTuple
                    + [.lookup(Register(0), in: maps.allowedSources.name, inverted: true), .verdict(.drop)]
            ),
            Rule(chain: "check-endpoints", match.service + [match.verdict(in: maps.service.noEndpoints)]),
            // What was not translated by now is a port that no service has (FE-4), or an address.
            Rule(
                chain: "check-cluster-ips",
                [match.destination(into: 0), .lookup(Register(0), in: maps.clusterIPs.name), .verdict(.goto("refuse"))]
            ),
            Rule(
                chain: "check-cluster-ips",
                [match.destination(into: 0), .lookup(Register(0), in: maps.serviceCIDRs.name), .verdict(.drop)]
            ),
            Rule(chain: "filter-prerouting", new + [.verdict(.jump("check-sources"))]),
            Rule(chain: "filter-output-first", new + [.verdict(.jump("check-sources"))]),
            Rule(chain: "nat-prerouting", [.verdict(.jump("services"))]),
            Rule(chain: "nat-output", [.verdict(.jump("services"))]),
            // The bit goes, so that an encapsulated copy of the packet is not masqueraded again (MQ-4).
            Rule(
                chain: "nat-postrouting",
                Match.isMarked(options.masqueradeMark) + [
                    .meta(.mark, into: Register(0)), .and(Register(0), ~options.masqueradeMark),
                    .setMeta(.mark, from: Register(0)), .masquerade(fullyRandom: true),
                ]
            ),
            Rule(
                chain: "nat-postrouting",
                Match.isTranslated + match.fullTuple + [
                    .lookup(Register(0), in: maps.hairpin.name), .masquerade(fullyRandom: true),
                ]
            ),
            // Node ports are checked where they are delivered (FE-3).
            Rule(
                chain: "filter-input",
                new + nodePort + match.ports + [match.verdict(in: maps.nodePort.noEndpoints)]
            ),
        ]
            + ["filter-input", "filter-forward", "filter-output"].map { chain in
                Rule(chain: chain, new + [.verdict(.jump("check-endpoints"))])
            }
            + ["filter-forward", "filter-output"].map { chain in
                Rule(chain: chain, new + [.verdict(.jump("check-cluster-ips"))])
            }
    }

    /// FE-7: exact addresses come before node ports.
    private func dispatch(_ scope: Scope) -> [Rule] {
        let key = scope == .service ? match.service : nodePort + match.ports
        let maps = maps[scope]
        let count = maps.connections.map { Rule(chain: "services", key + [.lookup(Register(0), in: $0.name)]) }
        return [count, Rule(chain: "services", key + goOn(by: maps.frontends, self.maps.frontendChains))].compactMap {
            $0
        }
    }

    /// `meta priority set … map @frontends meta priority vmap @frontend-chains`
    private func goOn(by frontends: NamedSet, _ chains: NamedSet) -> [Expression] {
        [
            .lookup(Register(0), in: frontends.name, into: Register(0)), .setMeta(.priority, from: Register(0)),
            .meta(.priority, into: Register(0)), match.verdict(in: chains),
        ]
    }

    /// FE-6: local pods first, then the node itself, then everyone else.
    private func bySource(_ scope: Scope) -> [Rule] {
        let key = scope == .service ? match.service : match.ports
        let maps = maps[scope]
        return [
            isLocal(true) + key + goOn(by: maps.nearFrontends, self.maps.bySourceChains),
            [.addressType(.source, into: Register(0)), .compare(Register(0), .equal, hostOrder: Match.localType)]
                + key + goOn(by: maps.nearFrontends, self.maps.bySourceChains),
            key + goOn(by: maps.farFrontends, self.maps.bySourceChains),
        ].map { Rule(chain: scope.prefix + "by-source", $0) }
    }

    /// Goes on only with packets of pods, or only with others. A packet of the node itself has come in by no interface,
    /// which no name matches.
    private func isLocal(_ wanted: Bool) -> [Expression] {
        switch options.surroundings.localSources {
        case .within: [match.source(into: 0), .lookup(Register(0), in: maps.localSources.name, inverted: !wanted)]
        case .interface(let name): match.cameIn(by: name, isPrefix: false, wanted)
        case .interfaces(let prefix): match.cameIn(by: prefix, isPrefix: true, wanted)
        }
    }

    /// Whether the packet is for an address that serves node ports.
    private var nodePort: [Expression] {
        switch options.surroundings.nodePorts[family] ?? .all {
        case .only:
            [match.destination(into: 0), .lookup(Register(0), in: maps.nodePortAddresses.name)]
        case .all:
            [
                .addressType(.destination, into: Register(0)),
                .compare(Register(0), .equal, hostOrder: Match.localType),
            ] + match.isNotLoopback
        }
    }

    /// The rules of a chain that picks a backend.
    func rules(of pick: PickChain) -> [Rule] {
        let translations = pick.memory == 0 ? [plainTranslation(pick)] : rememberedTranslations(pick)
        let mark: [Expression] = [
            .meta(.mark, into: Register(0)), .or(Register(0), options.masqueradeMark),
            .setMeta(.mark, from: Register(0)),
        ]
        let marking: [Rule] =
            switch pick.marking {
            case .never: []
            case .always: [Rule(chain: pick.name, mark)]
            case .unlessLocal: [Rule(chain: pick.name, isLocal(false) + mark)]
            }
        let rules = marking + translations
        return rules.prefix(1).map { Rule(chain: $0.chain, Self.resetPriority + $0.expressions, comment: $0.comment) }
            + rules.dropFirst()
    }

    /// `meta priority set none`: it has brought the packet here.
    private static let resetPriority: [Expression] = [
        .immediate([0, 0, 0, 0], into: Register(0)), .setMeta(.priority, from: Register(0)),
    ]

    private func plainTranslation(_ pick: PickChain) -> Rule {
        let set = maps[pick.scope].backends(isNear: pick.isNear, remembersClients: false)
        let key = pick.scope == .service ? match.service : match.ports
        let keyWords = UInt32(set.key.dropLast().reduce(0) { $0 + ($1.length + 3) / 4 })
        return Rule(
            chain: pick.name,
            key + [
                .random(modulus: pick.count, into: Register(keyWords)),
                .lookup(Register(0), in: set.name, into: Register(0)),
                .destinationNAT(match.family, address: Register(0), port: Register(match.addressWords)),
            ]
        )
    }

    /// First the endpoint that is remembered, if it is still one; else a new one, which is remembered then; and when
    /// the memory is full, any (SA-2). Each new connection starts the time again (SA-3).
    ///
    /// The rules keep a client's address, the number of the scope and the endpoint side by side in the registers. So
    /// one look-up of `affinity-memory`, which begins in the last word of the address, brings the endpoint to where
    /// `affinity-endpoints` is asked about it and the translation takes it from. `nft` (1.0.6) cannot list a key that
    /// comes out of a map and ends itself; it follows only the first word of what a map returns, and so sees in the
    /// others what was loaded there before, `meta mark`, `ip daddr` and `th dport`.
    private func rememberedTranslations(_ pick: PickChain) -> [Rule] {
        let scoped = maps[pick.scope]
        let words = match.addressWords
        let (client, end, number) = (Register(0), Register(words - 1), Register(words))
        let (address, port) = (Register(words + 1), Register(2 * words + 1))
        let backends = scoped.backends(isNear: pick.isNear, remembersClients: true)
        // Where no field begins in a word that `nft` has to see something else in.
        let key = pick.scope == .service ? words + 3 : 2 * words + 2
        let slot = key + UInt32(backends.key.dropLast().reduce(0) { $0 + ($1.length + 3) / 4 })
        let shown: [Expression] = [
            .meta(.mark, into: number), match.destination(into: words + 1), .destinationPort(into: port),
        ]
        let source: [Expression] = [.meta(.mark, into: end), match.source(into: 0)]
        let translate = Expression.destinationNAT(match.family, address: address, port: port)
        func change(_ change: Expression.DynamicChange) -> Expression {
            .change(
                change,
                of: maps.affinityMemory.name,
                key: client,
                data: end,
                timeout: change == .update ? UInt64(pick.memory) * 1000 : nil
            )
        }
        let choose =
            shown + match.frontend(pick.scope, from: key) + [
                .random(modulus: pick.count, into: Register(slot)),
                .lookup(Register(key), in: backends.name, into: end),
            ]
        let affinity = pick.isNear ? scoped.nearAffinity : scoped.affinity
        let recall =
            shown + match.frontend(pick.scope, from: key) + [
                .lookup(Register(key), in: affinity.name, into: end), match.source(into: 0),
                .lookup(client, in: maps.affinityMemory.name, into: end),
                .lookup(number, in: maps.affinityEndpoints.name),
            ]
        return [
            Rule(
                chain: pick.name,
                recall + source + [change(.update), translate],
                comment: "the endpoint that affinity-memory has"
            ),
            Rule(
                chain: pick.name,
                choose + source + [change(.delete), change(.update), translate],
                comment: "an endpoint of \(backends.name), to be remembered"
            ),
            Rule(chain: pick.name, choose + [translate], comment: "no room in affinity-memory"),
        ]
    }

    private var match: Match { Match(family: table.family) }
}
