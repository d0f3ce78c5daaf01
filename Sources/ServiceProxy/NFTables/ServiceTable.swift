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
    func isLocal(_ wanted: Bool) -> [Expression] {
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

    var match: Match { Match(family: table.family) }
}
