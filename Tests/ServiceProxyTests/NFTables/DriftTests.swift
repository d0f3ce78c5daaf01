import ClusterClient
import KubernetesAPI
import Logging
import NFTables
import NetworkTypes
import Synchronization
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// What others do to the table is put back, and what we do ourselves is no reason to look.
@Suite(.enabled(if: isRoot), .serialized)
struct DriftTests {
    private func withProxy(
        _ body: (NetworkNamespace, ServiceController, LogLines) async throws -> Void
    ) async throws {
        let namespace = try NetworkNamespace.makeContainer()
        let lines = LogLines()
        let logger = Logger(label: "test") { _ in lines }
        let controller = ServiceController(
            node: NodeFacts(name: "here"),
            planner: ServicePlanner(),
            awaiting: [.service],
            logger: logger
        ) { _ in
            let socket = try NetfilterSocket(in: namespace)
            return NFTablesBackend(
                kernel: socket,
                watch: TableWatch(
                    "swiftlet",
                    try RulesetMonitor(in: namespace, ignoring: socket.portID)
                ),
                logger: logger
            )
        }
        try await withThrowingTaskGroup { group in
            group.addTask { await controller.run() }
            try await body(namespace, controller, lines)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func listing(_ namespace: NetworkNamespace) -> String {
        (try? namespace.nft("list", "ruleset")).map(sortingElements) ?? ""
    }

    @Test func whatOthersDoIsPutBack() async throws {
        try await withProxy { namespace, controller, lines in
            await controller.receive(
                ObjectBatch(
                    changes: [
                        .set(.service(service())), .set(.endpointSlice(slice("s", ["10.9.0.1", "10.9.0.2"]))),
                    ],
                    synced: [.service]
                )
            )
            try await eventually { listing(namespace).contains("10.9.0.2") }
            // Changes of ours, and of others to what is theirs.
            for last in 3...60 {
                let next = slice("s", ["10.9.0.1", "10.9.0.\(last)"])
                await controller.receive(ObjectBatch(changes: [.set(.endpointSlice(next))]))
            }
            try await eventually { listing(namespace).contains("10.9.0.60") }
            try namespace.nft("add", "table", "ip", "other")
            let intact = listing(namespace)
            #expect(await controller.driftCount == 0)

            let damages: [(command: String, name: String)] = [
                ("flush table ip swiftlet", "chain services"), ("delete table ip swiftlet", "table ip swiftlet"),
                ("delete table ip6 swiftlet", "table ip6 swiftlet"),
                ("flush map ip swiftlet backends", "elements of backends"),
                ("flush chain ip swiftlet nat-postrouting", "nat-postrouting"),
                ("insert rule ip swiftlet services drop", "services"),
                ("add element ip swiftlet cluster-ips { 1.2.3.4 }", "cluster-ips"),
            ]
            for (number, damage) in damages.enumerated() {
                try namespace.nft(damage.command)
                try await eventually(within: .seconds(1)) {
                    await controller.driftCount == number + 1 && isIntact(namespace, intact)
                }
                #expect(lines.drifts.withLock { $0.last?.contains(damage.name) } == true, "\(damage)")
                #expect(lines.drifts.withLock { $0.last?.contains("nft") } == true)
            }
            // The repairs were no reason for more of them.
            #expect(await controller.driftCount == damages.count)
        }
    }

    /// What others do while a table is being made is not announced, but noticed.
    @Test(arguments: [1, 2, 3, 4]) func meddlingAtTheStartIsPutBack(commit: UInt32) async throws {
        let namespace = try NetworkNamespace.makeContainer()
        let socket = try NetfilterSocket(in: namespace)
        let meddled = MeddledKernel(socket, after: commit) {
            try namespace.nft("delete rule ip swiftlet services handle", handle(of: "services", in: namespace))
        }
        let backend = NFTablesBackend(
            kernel: meddled,
            watch: TableWatch(
                "swiftlet",
                try RulesetMonitor(in: namespace, ignoring: socket.portID)
            ),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        _ = try await backend.start(with: sampleFrontends)
        #expect(listing(namespace).contains("map @frontends"))
        #expect(try await backend.start(with: sampleFrontends).changes == 0)
    }

    private func handle(of chain: String, in namespace: NetworkNamespace) throws -> String {
        let text = try namespace.nft("-a", "list", "chain", "ip", "swiftlet", chain)
        let rule = text.split(separator: "\n").first { $0.contains("map @frontends") }
        return try #require(rule?.split(separator: " ").last.map { String($0) })
    }

    /// Tables come back in another place of the ruleset.
    private func isIntact(_ namespace: NetworkNamespace, _ expected: String) -> Bool {
        listing(namespace).split(separator: "\n").sorted() == expected.split(separator: "\n").sorted()
    }
}

/// Does something to the tables right after the n-th commit.
private final class MeddledKernel: NFTablesKernel {
    private let socket: NetfilterSocket
    private let fateful: UInt32
    private let meddle: @Sendable () throws -> Void

    init(_ socket: NetfilterSocket, after commit: UInt32, _ meddle: @escaping @Sendable () throws -> Void) {
        (self.socket, fateful, self.meddle) = (socket, commit, meddle)
    }

    func commit(_ transaction: Transaction, ifGeneration generation: UInt32?) throws {
        let before = socket.commitCount
        try socket.commit(transaction, ifGeneration: generation)
        if socket.commitCount == fateful, before < fateful { try meddle() }
    }

    func check(_ transaction: Transaction) throws { try socket.check(transaction) }
    func generation() throws -> UInt32 { try socket.generation() }
    var commitCount: UInt32 { socket.commitCount }
    func tables(_ family: Family) throws -> [Table] { try socket.tables(family) }
    func chains(of table: Table) throws -> [Chain] { try socket.chains(of: table) }
    func rules(of table: Table) throws -> [ListedRule] { try socket.rules(of: table) }
    func sets(of table: Table) throws -> [SetLayout] { try socket.sets(of: table) }
    func elements(of set: String, in table: Table, restart: () -> Void, _ body: (Element) -> Void) throws {
        try socket.elements(of: set, in: table, restart: restart, body)
    }
    func find(_ runs: [[Concatenation]], in set: NamedSet, of table: Table, _ body: (Element) -> Void) throws {
        try socket.find(runs, in: set, of: table, body)
    }
}

/// Keeps what is said of drifts.
private final class LogLines: LogHandler {
    let drifts = Mutex<[String]>([])

    func log(event: LogEvent) {
        guard let changed = event.metadata?["changed"] else { return }
        drifts.withLock { $0.append("\(changed) by \(event.metadata?["by"] ?? "")") }
    }

    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .debug }
        set {}
    }
}
