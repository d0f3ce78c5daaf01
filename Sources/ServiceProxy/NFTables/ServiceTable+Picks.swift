import NFTables

extension ServiceTable {
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
}
