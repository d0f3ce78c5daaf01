import Foundation
import Glibc
import Measuring
import Netlink
import TestAPIServer

/// What a proxy as a whole costs, as those who use it notice: real packets, from its start and from changes of objects
/// on an API server.
struct EndToEnd: Codable {
    /// What to do.
    struct Plan: Codable {
        var services: Int
        var endpoints: Int
        /// Of each kind.
        var changes = 200
        /// Changes per second, and for how many seconds; none when zero.
        var rate = 0
        var seconds = 0
        /// Between single changes, in milliseconds; long enough for each to be carried out by itself.
        var pause = 20
        /// How long to wait for anything.
        var patience = 300.0
    }

    struct Change: Codable {
        /// From the write to the API server to the first packet at the endpoint that came.
        let latency: Percentiles
        /// Of the process.
        let cpu: Double
        /// Of the kernel's threads, which free later what a commit took away: of everything on the machine.
        let kernelThreads: Double
    }

    struct Restart: Codable {
        /// From the start of the new process to the first packet at an endpoint that came while there was none.
        let time: Double
        let connections: Int
        let lost: Int
        let refused: Int
        let errors: [String: Int]
    }

    struct Churn: Codable {
        let rate: Double
        let latency: Percentiles
        /// How many of the changes that were watched for never came.
        let missing: Int
        /// From the last change until it had come.
        let end: Double
        let cpuShare: Double
        /// After a sixth of the time, and at its end.
        let earlyMiB: Double
        let lateMiB: Double
    }

    let name: String
    let plan: Plan
    /// From the start of the process until all Services that are probed were reached, the last one among them.
    let firstSync: Double
    let firstSyncCPU: Double
    let peakMiB: Double
    let addressChange: Change?
    let lengthChange: Change?
    let churn: Churn?
    let restart: Restart?

    static func measure(_ contestant: Contestant, _ plan: Plan, apiServer: String, directory: String) throws -> EndToEnd
    {
        let directory = "\(directory)/\(contestant.name)-\(plan.services)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let network = try BenchNetwork()
        let cluster = try LiveCluster(
            services: plan.services,
            endpoints: plan.endpoints,
            program: apiServer,
            in: network.node,
            directory: directory
        )
        usleep(500_000)
        return try Run(contestant, plan, network, cluster, directory).measure()
    }
}

/// One contestant at one cluster.
private struct Run {
    let contestant: Contestant
    let plan: EndToEnd.Plan
    let network: BenchNetwork
    let cluster: LiveCluster
    let directory: String

    init(
        _ contestant: Contestant,
        _ plan: EndToEnd.Plan,
        _ network: BenchNetwork,
        _ cluster: LiveCluster,
        _ directory: String
    ) {
        (self.contestant, self.plan, self.network) = (contestant, plan, network)
        (self.cluster, self.directory) = (cluster, directory)
    }

    private var prober: Prober { Prober(network: network, patience: plan.patience) }

    private func start() throws -> (process: BenchProcess, at: Double) {
        let start = monotonicMilliseconds()
        return (
            try contestant.start(in: network.node, kubeconfig: cluster.kubeconfig, directory: directory), start
        )
    }

    func measure() throws -> EndToEnd {
        let (process, start) = try start()
        let probed = Set((0..<200).map { $0 * plan.services / 200 } + [plan.services - 1]).sorted()
        let end = try prober.reachAll(probed.map(Workload.clusterIP), of: process)
        let firstSyncCPU = process.cpu
        // Not in the time, but nobody may be left out.
        _ = try prober.reachAll((0..<plan.services).map(Workload.clusterIP), of: process)
        let address = try changes(process) { cluster.addressChange($0) }
        let length = try changes(process) { cluster.lengthChange($0) }
        let churn = plan.rate > 0 && plan.seconds > 0 ? try churn(process) : nil
        let peak = memory("VmHWM", of: process.id)
        let restart = try restart(process)
        return EndToEnd(
            name: contestant.name,
            plan: plan,
            firstSync: end - start,
            firstSyncCPU: firstSyncCPU,
            peakMiB: max(peak, restart.peakMiB),
            addressChange: address,
            lengthChange: length,
            churn: churn,
            restart: restart.result
        )
    }

    // MARK: Single changes

    private func pause() { usleep(UInt32(plan.pause) * 1000) }

    private func changes(
        _ process: BenchProcess,
        _ make: (Int) -> LiveCluster.Change
    ) throws -> EndToEnd.Change? {
        guard plan.changes > 0 else { return nil }
        var latencies: [Double] = []
        while latencies.count < plan.changes {
            let change = make(Int.random(in: 0..<plan.services))
            let start = monotonicMilliseconds()
            cluster.apply(change)
            guard let endpoint = change.newEndpoint else {
                // A list has to get shorter before it gets longer; the next Service may be another one.
                pause()
                let back = make(change.index)
                let start = monotonicMilliseconds()
                cluster.apply(back)
                if let endpoint = back.newEndpoint {
                    latencies.append(try prober.reach(endpoint, through: back.service, of: process) - start)
                }
                pause()
                continue
            }
            latencies.append(try prober.reach(endpoint, through: change.service, of: process) - start)
            pause()
        }
        // Once more without a client that keeps a processor busy.
        let cpu = process.cpu
        let threads = kernelThreadsCPU()
        var last: LiveCluster.Change?
        let count = plan.changes * 3
        for _ in 0..<count {
            let change = make(Int.random(in: 0..<plan.services))
            cluster.apply(change)
            if change.newEndpoint != nil { last = change }
            pause()
        }
        if let last, let endpoint = last.newEndpoint {
            _ = try prober.reach(endpoint, through: last.service, of: process)
        }
        return EndToEnd.Change(
            latency: Percentiles(latencies),
            cpu: (process.cpu - cpu) / Double(count),
            kernelThreads: (kernelThreadsCPU() - threads) / Double(count)
        )
    }

    // MARK: Many changes

    private func churn(_ process: BenchProcess) throws -> EndToEnd.Churn {
        let watcher = ChurnWatcher(prober)
        let cpu = process.cpu
        let start = monotonicMilliseconds()
        let count = plan.rate * plan.seconds
        var early = 0.0
        var last = start
        for number in 0..<count {
            let due = start + Double(number) * 1e3 / Double(plan.rate)
            let now = monotonicMilliseconds()
            if due > now { usleep(UInt32((due - now) * 1e3)) }
            // A Service that is watched must not change again before it was seen.
            let watched = watcher.watched
            var service = Int.random(in: 0..<plan.services)
            while Workload.clusterIP(service) == watched { service = Int.random(in: 0..<plan.services) }
            let change = number % 4 == 3 ? cluster.lengthChange(service) : cluster.addressChange(service)
            last = monotonicMilliseconds()
            cluster.apply(change)
            if watched == nil, let endpoint = change.newEndpoint {
                watcher.watch(endpoint, change.service, since: last)
            }
            if early == 0, number >= count / 6 { early = memory("VmRSS", of: process.id) }
        }
        let share = (process.cpu - cpu) / (last - start)
        let final = cluster.addressChange(Int.random(in: 0..<plan.services))
        cluster.apply(final)
        let end = try final.newEndpoint.map { try prober.reach($0, through: final.service, of: process) } ?? 0
        let (latencies, missing) = watcher.finish()
        return EndToEnd.Churn(
            rate: Double(count) / (last - start) * 1e3,
            latency: Percentiles(latencies),
            missing: missing,
            end: end - last,
            cpuShare: share,
            earlyMiB: early,
            lateMiB: memory("VmRSS", of: process.id)
        )
    }

    // MARK: A restart

    private func restart(_ old: BenchProcess) throws -> (result: EndToEnd.Restart, peakMiB: Double) {
        let load = Load(network.client, to: (0..<plan.services).map(Workload.clusterIP))
        usleep(200_000)
        old.kill()
        let change = cluster.addressChange(plan.services - 1)
        cluster.apply(change)
        usleep(200_000)
        let (process, start) = try start()
        let end = try prober.reach(change.newEndpoint ?? 0, through: change.service, of: process)
        usleep(500_000)
        let outcome = load.stop()
        let result = EndToEnd.Restart(
            time: end - start,
            connections: outcome.connections,
            lost: outcome.lost,
            refused: outcome.refused,
            errors: outcome.errors
        )
        return (result, memory("VmHWM", of: process.id))
    }
}
