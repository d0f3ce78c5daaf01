import ArgumentParser
import Foundation
import Glibc

/// Measures swiftlet-proxy: its backend alone, and as a program that people wait for.
@main
struct ProxyBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ProxyBenchmark",
        abstract: "Measures swiftlet-proxy, and peers beside it.",
        discussion: """
            Two parts. "kernel" has the nftables backend program frontends in this process: the first sync, changes and a \
            restart, by the number of Services. "program" runs swiftlet-proxy in the network namespace of a node, \
            against an API server over TLS, and measures with connections from a client to endpoints that answer: from \
            the start to the last Service, single changes, many changes a second, kill -9 and restart.

            A peer is any proxy that takes a kubeconfig, measured in the same way in a node of its own. Of its command \
            (for a shell, without pipes) these words are replaced: {kubeconfig}, {node}, the name of its Node, \
            {clusterCIDR}, and {directory}, where it may write. As in

              --peer 'kube-proxy --kubeconfig {kubeconfig} --hostname-override {node} --proxy-mode nftables \
            --cluster-cidr {clusterCIDR} --conntrack-max-per-core 0'

            Times are in milliseconds. Needs root.
            """
    )

    enum Part: String, ExpressibleByArgument, CaseIterable {
        case kernel, program
    }

    @Option(help: "Measure only this part.")
    var only: Part?
    @Option(help: "The program to measure; by default beside this one.")
    var program = Self.sibling("swiftlet-proxy")
    @Option(help: "The API server; by default beside this one.")
    var apiServer = Self.sibling("test-apiserver")
    @Option(
        help: """
            The mode of the proxy, as --proxy-mode takes it. With iptables, the part "program" alone is measured, with \
            1,000 Services of 10 endpoints, 30 changes and no churn, unless options say otherwise.
            """
    )
    var mode: String?
    @Option(help: "The command of another proxy, which is measured too; can be given several times.")
    var peer: [String] = []
    @Flag(help: "Measure peers only.")
    var onlyPeers = false
    @Option(help: "How many Services the cluster has.")
    var services: Int?
    @Option(help: "How many endpoints each has.")
    var endpoints = 10
    @Option(help: "How many single changes of each kind.")
    var changes: Int?
    @Option(help: "How many changes a second, when there are many.")
    var rate = 1000
    @Option(help: "For how many seconds; 0 for not at all.")
    var seconds: Int?
    @Option(help: "A second, larger cluster, as SERVICESxENDPOINTS; \"none\" for none. Peers are spared it.")
    var large: String?
    @Option(help: "The numbers of Services, separated by commas, for the part \"kernel\".")
    var sizes = "100,1000,10000,50000"
    @Option(help: "A directory for logs and snapshots; by default a temporary one.")
    var data: String?
    @Flag(help: "Measure little, in some ten seconds: whether all works, not how fast it is.")
    var quick = false
    @Flag(help: "Print JSON.")
    var json = false

    private static func sibling(_ name: String) -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// What costs in proportion to the cluster is measured in a smaller one.
    private var isIPTables: Bool { mode == "iptables" }

    private var plan: EndToEnd.Plan {
        if quick { return EndToEnd.Plan(services: 100, endpoints: 3, changes: 20, rate: 200, seconds: 2) }
        var plan = EndToEnd.Plan(services: services ?? (isIPTables ? 1000 : 10_000), endpoints: endpoints)
        plan.changes = changes ?? (isIPTables ? 30 : 200)
        (plan.rate, plan.seconds) = (rate, seconds ?? (isIPTables ? 0 : 60))
        if isIPTables { plan.pause = 200 }
        return plan
    }

    private func largePlan() throws -> EndToEnd.Plan? {
        let large = large ?? (isIPTables ? "none" : "50000x20")
        guard large != "none" else { return nil }
        let numbers = large.split(separator: "x").compactMap { Int($0) }
        guard numbers.count == 2, let services = numbers.first, let endpoints = numbers.last else {
            throw ValidationError("--large is SERVICESxENDPOINTS or \"none\", not \(large)")
        }
        return EndToEnd.Plan(services: services, endpoints: endpoints, changes: plan.changes)
    }

    private var sizeList: [Int] { sizes.split(separator: ",").compactMap { Int($0) } }

    func validate() throws {
        guard plan.services > 0, endpoints > 0, plan.changes >= 0, rate >= 0, plan.seconds >= 0 else {
            throw ValidationError("numbers are not negative, and there is at least one Service with one endpoint")
        }
        guard !sizeList.isEmpty, sizeList.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--sizes takes numbers of 1 or more, separated by commas")
        }
        _ = try largePlan()
    }

    func run() async throws {
        guard geteuid() == 0 else { throw ValidationError("only root can make the network namespaces to measure in") }
        Glibc.signal(SIGPIPE, SIG_IGN)
        let directory = data ?? FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { if data == nil { try? FileManager.default.removeItem(atPath: directory) } }

        var report = Report()
        if only != .program, !onlyPeers, !isIPTables {
            let sizes = quick ? [100] : sizeList
            report.kernel = try await KernelCost.measure(sizes, peerSize: sizes.filter { $0 <= 10_000 }.max())
        }
        if only != .kernel {
            let swiftlet = onlyPeers ? [] : [Contestant.swiftlet(program, mode: mode)]
            for contestant in swiftlet + peer.map(Contestant.peer) {
                report.programs.append(
                    try EndToEnd.measure(contestant, plan, apiServer: apiServer, directory: directory)
                )
            }
            if !quick, let large = try largePlan() {
                for contestant in swiftlet {
                    report.programs.append(
                        try EndToEnd.measure(contestant, large, apiServer: apiServer, directory: directory)
                    )
                }
            }
        }
        print(json ? try report.json : report.text)
    }
}
