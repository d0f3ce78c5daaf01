import Foundation
import Netlink
import NetworkTypes
import ProxyAPI
import TestSupport

@testable import NFTables
@testable import ServiceProxy

/// Traces against a table of frontends, on a node of namespaces.
struct Tracing {
    let node: TestNode
    var options = NFTablesOptions(localSources: TestNode.podNetworks)

    /// What a controller that has programmed these frontends would say.
    static func facts(
        _ frontends: [Frontend],
        about destination: IPAddress,
        _ transport: TransportProtocol,
        _ port: UInt16,
        in surroundings: Surroundings
    ) -> DestinationFacts {
        let keys: [Frontend.Key] = [
            .address(destination, transport, port), .nodePort(destination.family, transport, port),
        ]
        let candidates = keys.compactMap { key in
            frontends.first { $0.key == key }.map {
                DestinationFacts.Candidate(
                    key: key,
                    frontend: $0,
                    standing: .programmed,
                    service: nil,
                    losers: []
                )
            }
        }
        let isExact = candidates.first?.key == keys[0]
        return DestinationFacts(
            candidates: candidates,
            neighbours: isExact
                ? []
                : frontends.filter {
                    if case .address(destination, _, _) = $0.key { true } else { false }
                },
            proxied: [],
            surroundings: surroundings,
            node: NodeFacts(name: "here"),
            awaited: [],
            isProgrammed: true
        )
    }

    /// - Parameters:
    ///   - source: where the packet comes from; one of the node's own addresses for the node.
    ///   - interface: what it comes in by, where that matters.
    func trace(
        _ frontends: [Frontend],
        from source: IPAddress,
        by interface: String? = nil,
        to destination: IPAddress,
        _ port: UInt16,
        over transport: TransportProtocol
    ) throws -> PacketTrace {
        let namespace = node.node
        let local = try namespace.run { LocalNode.addresses() ?? [] }
        var packet = SimulatedPacket(from: source, to: destination, port, over: transport)
        packet.inputInterface = interface ?? ""
        return try PacketTracer(
            packet: packet,
            isFromHere: local.contains(source),
            facts: Self.facts(frontends, about: destination, transport, port, in: options.surroundings),
            options: options,
            node: TraceNode(
                kernel: try NetfilterSocket(in: namespace),
                localAddresses: { local },
                sourceAddress: { destination in
                    try? namespace.run { LocalNode.sourceAddress(towards: destination) }
                }
            )
        ).trace()
    }
}

extension PacketTrace {
    var choices: [Choice] { ways.flatMap(\.choices) }

    /// Whom each backend would see.
    var sources: [IPAddress: IPAddress?] {
        Dictionary(choices.map { ($0.backend.address, $0.seenSource) }) { first, _ in first }
    }
}
