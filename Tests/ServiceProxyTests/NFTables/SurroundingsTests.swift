import Logging
import NFTables
import NetworkTypes
import Testing

@testable import ServiceProxy

/// Other surroundings while the table is in use.
@Suite struct SurroundingsTests {
    private let kernel = FakeKernel()

    private func backend(_ surroundings: Surroundings) -> NFTablesBackend {
        NFTablesBackend(
            kernel: kernel,
            options: NFTablesOptions(surroundings),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test func elementsAloneChange() async throws {
        let all: [CIDR] = [CIDR("10.96.0.0/16")!, CIDR("fd96::/112")!]
        var surroundings = Surroundings(
            nodePorts: [.ipv4: .only([address("172.16.0.1")])],
            localSources: .within([CIDR("10.9.0.0/24")!])
        )
        let backend = backend(surroundings)
        _ = try await backend.start(with: sampleFrontends)
        let generation = try kernel.generation()
        surroundings.serviceCIDRs = Set(all)
        surroundings.nodePorts[.ipv4] = .only([address("172.16.0.2")])
        surroundings.localSources = .within([CIDR("10.9.7.0/24")!])
        #expect(try await backend.adapt(to: surroundings))
        #expect(try kernel.generation() <= generation + 2)  // One commit for each family.
        // As if it had been made so.
        #expect(try await self.backend(surroundings).start(with: sampleFrontends).changes == 0)
        #expect(try await backend.adapt(to: surroundings))
        #expect(try kernel.generation() <= generation + 2)
    }

    @Test(arguments: [
        Surroundings(nodePorts: [.ipv4: .only([address("172.16.0.1")])], localSources: .within([CIDR("10.9.0.0/24")!])),
        Surroundings(localSources: .unknown), Surroundings(localSources: .interface("cni0")),
    ])
    func otherRulesNeedAnotherBackend(_ surroundings: Surroundings) async throws {
        let backend = backend(Surroundings(localSources: .within([CIDR("10.9.0.0/24")!])))
        _ = try await backend.start(with: sampleFrontends)
        let generation = try kernel.generation()
        #expect(try await !backend.adapt(to: surroundings))
        #expect(try kernel.generation() == generation)
        let start = try await self.backend(surroundings).start(with: sampleFrontends)
        #expect(start.findings == [.ipv4: .adopted, .ipv6: .adopted])
        #expect(start.changes > 0)
    }
}
