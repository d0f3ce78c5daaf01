import Dispatch
import Glibc
import KubernetesAPI
import Logging
import Netlink
import NetworkTypes
import Synchronization
import Testing

@testable import ServiceProxy

/// When the cleaner looks at the table, with one that only counts.
@Suite struct ConntrackCleanerTests {
    private final class CountingTable: ConntrackTable {
        struct State {
            var looks: [IPFamily] = []
            var failuresLeft = 0
            /// What the table has.
            var flows: [ConntrackEntry] = []
            /// How many went with each look.
            var reports: [Int] = []
        }

        let state = Mutex(State())
        /// A look waits here when it is told to.
        let gate = DispatchSemaphore(value: 0)
        let isGated = Atomic(false)

        func removeFlows(_ family: IPFamily, where isStale: @escaping @Sendable (ConntrackEntry) -> Bool) throws -> Int
        {
            let fails = state.withLock { state in
                state.looks.append(family)
                guard state.failuresLeft > 0 else { return false }
                state.failuresLeft -= 1
                return true
            }
            if isGated.load(ordering: .acquiring) { gate.wait() }
            if fails { throw NetlinkError(request: "list", cause: .timedOut) }
            return state.withLock { state in
                let count = state.flows.count
                state.flows.removeAll(where: isStale)
                return count - state.flows.count
            }
        }

        var looks: [IPFamily] { state.withLock(\.looks) }
        var reports: [Int] { state.withLock(\.reports) }
    }

    private let table = CountingTable()

    private func withCleaner(_ body: (ConntrackCleaner) async throws -> Void) async throws {
        let cleaner = ConntrackCleaner(
            table: table,
            localAddresses: { [] },
            retry: .init(firstDelay: .milliseconds(1), longestDelay: .milliseconds(5)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            report: { [table] _, _, deleted in table.state.withLock { $0.reports.append(deleted) } }
        )
        try await withThrowingTaskGroup { group in
            group.addTask { await cleaner.run() }
            try await body(cleaner)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func eventually(
        _ condition: () -> Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(1)) }
        #expect(condition(), sourceLocation: sourceLocation)
    }

    private func commit(_ endpoints: [String]?, isWhole: Bool = false, succeeded: Bool = true) -> CommitReport {
        let object = service(ports: [Service.Port(transport: .udp, port: 53)])
        let slices = [slice("a", ports: [EndpointPort(transport: .udp, port: 53)], endpoints ?? [])]
        let plan =
            endpoints == nil
            ? .empty : ServicePlanner().plan(object, with: slices, in: .ipv4, on: thisNode)
        return CommitReport(
            isWhole: isWhole,
            duration: .zero,
            succeeded: succeeded,
            hasMore: false,
            plans: [.init(object.metadata.objectName, .ipv4): plan]
        )
    }

    private func flow(to endpoint: String, port: UInt16 = 40_000) -> ConntrackEntry {
        let client = address("10.9.7.7")
        return ConntrackEntry(
            original: .init(from: client, port, to: address("10.96.0.10"), 53, transport: 17),
            reply: .init(from: address(endpoint), 53, to: client, port, transport: 17)
        )
    }

    @Test func staleFlowsGoAndOthersStay() async throws {
        table.state.withLock { $0.flows = [flow(to: "10.9.0.1"), flow(to: "10.9.0.2"), flow(to: "10.9.0.3")] }
        try await withCleaner { cleaner in
            cleaner.committed(commit(["10.9.0.1", "10.9.0.2"], isWhole: true))
            try await eventually { table.reports == [1] }
            cleaner.committed(commit(["10.9.0.1"]))
            try await eventually { table.reports == [1, 1] }
            cleaner.committed(commit(nil))
            try await eventually { table.reports == [1, 1, 1] }
            #expect(table.looks == [.ipv4, .ipv4, .ipv4])
        }
    }

    @Test func aCommitThatFailedChangesNothing() async throws {
        try await withCleaner { cleaner in
            cleaner.committed(commit(["10.9.0.1"], succeeded: false))
            cleaner.committed(commit(["10.9.0.1"]))
            try await eventually { table.reports == [0] }
            #expect(table.looks == [.ipv4])
        }
    }

    /// A hundred changes while one look takes its time are one more look; and nobody waits for it.
    @Test func changesQueueWhileTheTableIsLookedAt() async throws {
        try await withCleaner { cleaner in
            table.isGated.store(true, ordering: .releasing)
            cleaner.committed(commit(["10.9.0.1", "10.9.0.2"], isWhole: true))
            try await eventually { table.looks.count == 1 }
            let start = ContinuousClock.now
            for index in 0..<100 { cleaner.committed(commit(index % 2 == 0 ? ["10.9.0.1"] : ["10.9.0.2"])) }
            #expect(ContinuousClock.now - start < .seconds(1))
            #expect(table.looks.count == 1)
            table.isGated.store(false, ordering: .releasing)
            table.gate.signal()
            try await eventually { table.reports.count == 2 }
            #expect(table.looks.count == 2)
        }
    }

    @Test func whatFailedIsTriedAgain() async throws {
        table.state.withLock { ($0.flows, $0.failuresLeft) = ([flow(to: "10.9.0.1")], 3) }
        try await withCleaner { cleaner in
            cleaner.committed(commit(["10.9.0.1"], isWhole: true))
            cleaner.committed(commit(nil))
            try await eventually { table.reports.contains(1) }
            #expect(table.looks.count >= 4)
            #expect(table.state.withLock(\.flows) == [])
        }
    }
}
