import NetworkTypes
import Testing

@testable import ServiceProxy

/// Five hundred connections a second from outside to one Service: to its cluster IP, and in the other family to its node
/// port.
struct ServiceLoad {
    static let nodePort: UInt16 = 30080
    /// What is dialled.
    static let frontends: [Frontend.Key] = [
        .address(PacketTests.serviceIPs[.ipv4]!, .tcp, 80), .nodePort(.ipv6, .tcp, nodePort),
    ]
    private static let enough = [3000, 2000]

    private let loads: [PacedLoad]

    private init(on node: TestNode) {
        let client = node.outside.namespace
        loads = [
            PacedLoad(from: client, to: PacketTests.serviceIPs[.ipv4]!, port: 80, perSecond: 300),
            PacedLoad(from: client, to: TestNode.nodeAddresses[.ipv6]!, port: Self.nodePort, perSecond: 200),
        ]
    }

    /// Whether ten seconds' worth of connections were made, or one has failed already.
    var isDone: Bool {
        zip(loads, Self.enough).allSatisfy { $0.dialled >= $1 } || loads.contains { $0.failures > 0 }
    }

    /// Runs `body` under load, and expects that nobody was refused, cut off or lost on the way, and that all of so many
    /// endpoints have answered.
    static func run(
        on node: TestNode,
        endpoints: Int,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (ServiceLoad) async throws -> Void
    ) async throws {
        let load = ServiceLoad(on: node)
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(load))
        } catch {
            result = .failure(error)
        }
        for (load, enough) in zip(load.loads, enough) {
            let outcome = load.stop()
            #expect(outcome.failures.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
            #expect(outcome.retransmissions == 0, "\(outcome)", sourceLocation: sourceLocation)
            #expect(outcome.answers.count == endpoints, "\(outcome)", sourceLocation: sourceLocation)
            #expect(outcome.dialled >= enough, "\(outcome)", sourceLocation: sourceLocation)
        }
        try result.get()
    }
}
