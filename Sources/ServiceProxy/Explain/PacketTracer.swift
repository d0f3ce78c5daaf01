import NFTables
import NetworkTypes
import ProxyAPI

/// Says what would happen to the first packet of a connection.
///
/// The table is made by the code that programs the kernel, from nothing but the frontends that the packet can meet, in
/// memory; and the packet is walked through its rules, once for each backend that it can go to. So a trace can no more
/// differ from the table than the kernel can. A function of its values.
struct PacketTracer {
    let packet: SimulatedPacket
    /// Whether a process on this node sends it.
    let isFromHere: Bool
    let facts: DestinationFacts
    let options: NFTablesOptions
    let node: TraceNode

    private var table: ServiceTable { ServiceTable(family: packet.destination.family, options: options) }

    func trace() throws -> PacketTrace {
        let local = node.localAddresses()
        let table = table
        let ruleset = try ruleset(table)
        let walks = try walks(through: ruleset, local)
        guard let first = walks.first else { throw ProxyExplainer.Problem(.notReady, "nothing is programmed") }
        let words = TraceWords(packet: packet, facts: facts, options: options, backendCount: walks.count)
        let choiceIndex = first.visits.firstIndex { if case .translated = $0.result { true } else { false } }
        let commonCount = choiceIndex.map { $0 + 1 } ?? first.visits.count
        let candidate = words.candidate(of: first)
        var trace = PacketTrace(
            packet: description(local),
            service: candidate?.frontend.map { "\($0.servicePort)" },
            frontend: (candidate?.frontend?.kind).map { FrontendReport.Kind($0) },
            steps: first.visits.prefix(commonCount).map { words.step($0) },
            verdict: words.verdict(of: first),
            why: words.summary(of: first),
            notes: words.notes(of: first)
        )
        if choiceIndex != nil {
            trace.ways = ways(walks, after: commonCount, candidate?.frontend, words)
        }
        return trace
    }

    private func ruleset(_ table: ServiceTable) throws -> Ruleset {
        var frontends = facts.candidates.compactMap(\.frontend)
        // A cluster IP is known as one by any of its ports.
        if let sibling = facts.neighbours.first(where: { $0.kind == .clusterIP }) { frontends.append(sibling) }
        let kernel = FakeKernel()
        var programmed = ProgrammedTable(table: table, kernel: kernel)
        _ = try programmed.start(with: frontends)
        var ruleset = try Ruleset(table.table, from: kernel)
        for frontend in frontends where frontend.affinityTimeout != nil {
            try node.recall(packet.source, at: frontend.key, of: table, into: &ruleset)
        }
        return ruleset
    }

    /// One for each random number that a rule can get.
    private func walks(through ruleset: Ruleset, _ local: Set<IPAddress>) throws -> [PacketWalk] {
        var modulus: UInt32 = 1
        func walk(_ number: UInt32) throws -> PacketWalk {
            let limit = Box()
            let walk = try PacketWalk(
                packet,
                isFromHere: isFromHere,
                through: ruleset,
                isLocal: { local.contains($0) },
                random: { bound in
                    limit.value = bound
                    return min(number, bound - 1)
                }
            )
            modulus = max(modulus, limit.value)
            return walk
        }
        var walks = [try walk(0)]
        while walks.count < modulus { walks.append(try walk(UInt32(walks.count))) }
        return walks
    }

    private final class Box {
        var value: UInt32 = 1
    }

    /// Puts walks together that meet the same rules, and backends that are the same.
    private func ways(
        _ walks: [PacketWalk],
        after count: Int,
        _ frontend: Frontend?,
        _ words: TraceWords
    ) -> [PacketTrace.Way] {
        let locals = Set(
            ((frontend?.route.backends ?? []) + (frontend?.nearRoute?.backends ?? [])).filter(\.isLocal)
                .map { Destination($0) }
        )
        var ways: [PacketTrace.Way] = []
        for walk in walks {
            let steps = walk.visits.dropFirst(count).map { words.step($0) }
            let isMasqueraded = walk.visits.contains { $0.result == .masqueraded }
            let destination = Destination(address: walk.packet.destination, port: walk.packet.destinationPort)
            let choice = PacketTrace.Choice(
                backend: BackendReport(
                    address: destination.address,
                    port: destination.port,
                    isLocal: locals.contains(destination)
                ),
                probability: 1 / Double(walks.count),
                isMasqueraded: isMasqueraded,
                seenSource: isMasqueraded ? node.sourceAddress(destination.address) : packet.source
            )
            let index = ways.firstIndex { $0.steps == steps } ?? ways.count
            if index == ways.count { ways.append(PacketTrace.Way(choices: [], steps: steps)) }
            if let known = ways[index].choices.firstIndex(where: { $0.backend == choice.backend }) {
                ways[index].choices[known].probability += choice.probability
            } else {
                ways[index].choices.append(choice)
            }
        }
        for index in ways.indices {
            ways[index].choices.sort {
                ($0.backend.address, $0.backend.port) < ($1.backend.address, $1.backend.port)
            }
        }
        return ways
    }

    private func description(_ local: Set<IPAddress>) -> PacketTrace.Packet {
        let isPod =
            switch options.surroundings.localSources {
            case .within(let prefixes): prefixes.contains { $0.contains(packet.source) }
            case .interface(let name): packet.inputInterface == name
            case .interfaces(let prefix): packet.inputInterface.hasPrefix(prefix)
            }
        return PacketTrace.Packet(
            source: packet.source,
            sourcePort: packet.sourcePort,
            destination: packet.destination,
            destinationPort: packet.destinationPort,
            protocol: "\(packet.transport)",
            interface: packet.inputInterface.isEmpty ? nil : packet.inputInterface,
            origin: isFromHere ? .node : isPod ? .pod : .elsewhere
        )
    }
}
