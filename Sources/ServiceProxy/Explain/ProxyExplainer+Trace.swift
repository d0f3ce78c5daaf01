import NFTables
import NetworkTypes
import ProxyAPI

extension ProxyExplainer {
    /// What would happen to the first packet of a connection.
    ///
    /// - Parameters:
    ///   - from: `ADDR`, `ADDR:PORT`, `pod` or `node`.
    ///   - to: `ADDR:PORT/PROTO`
    ///   - interface: the one that the packet comes in by.
    public func trace(from: String, to: String, interface: String? = nil) async throws(Problem) -> PacketTrace {
        let question = try TraceQuestion(from: from, to: to)
        if let untraceable { throw Problem(.notFound, untraceable) }
        let facts = await controller.facts(about: question.destination, question.transport, question.port)
        guard facts.isProgrammed else {
            let missing = facts.awaited.isEmpty ? "" : ": waiting for all \(facts.awaited.joined(separator: ", "))"
            throw Problem(.notReady, "the proxy has programmed nothing yet\(missing)")
        }
        let options = options(facts.surroundings)
        let (source, port) = try source(of: question, facts)
        var packet = SimulatedPacket(
            from: source,
            port,
            to: question.destination,
            question.port,
            over: question.transport
        )
        packet.inputInterface = interface ?? ""
        let isOwn = question.source == .node || node.localAddresses().contains(source) || source.isLoopback
        do {
            return try PacketTracer(
                packet: packet,
                isFromHere: interface == nil && isOwn,
                facts: facts,
                options: options,
                node: node
            ).trace()
        } catch {
            throw (error as? Problem) ?? Problem(.notReady, "\(error)")
        }
    }

    private func source(
        of question: TraceQuestion,
        _ facts: DestinationFacts
    ) throws(Problem) -> (IPAddress, UInt16) {
        let family = question.destination.family
        switch question.source {
        case .address(let address, let port): return (address, port)
        case .node:
            guard let address = node.sourceAddress(question.destination) ?? facts.node.addresses[family] else {
                throw Problem(.malformed, "from: the node knows no way to \(question.destination); give an address")
            }
            return (address, 0)
        case .pod:
            let sources = facts.surroundings.localSources
            guard let prefix = sources.prefixes(family).first else {
                throw Problem(
                    .malformed,
                    sources.detects(family)
                        ? "from: pods are \(sources); give an address and the interface"
                        : "from: nothing tells which \(family) sources are pods; give an address"
                )
            }
            // Any address will do that means nothing else: the node's own, or that of an endpoint.
            var taken = node.localAddresses()
            for frontend in facts.candidates.compactMap(\.frontend) {
                for backend in frontend.route.backends + (frontend.nearRoute?.backends ?? []) {
                    taken.insert(backend.address)
                }
            }
            var offset: UInt64 = 1
            while let address = prefix.masked.address.advanced(by: offset), prefix.contains(address) {
                if !taken.contains(address) { return (address, 0) }
                offset += 1
            }
            throw Problem(.malformed, "from: \(prefix) has no address that is free; give one")
        }
    }
}
