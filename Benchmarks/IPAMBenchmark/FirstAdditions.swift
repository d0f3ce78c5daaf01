import ClusterClient
import Measuring
import Netlink

/// The first ADD of each of many nodes, whose block has to be found in a pool of 262,144.
struct FirstAdditions {
    let plugin: String
    let directory: String
    let nodes: Int
    /// How many blocks other nodes have.
    let taken: Int

    func measure(_ board: inout Scoreboard) async throws {
        try await OtherNodes(blocks: taken, inUse: { _ in 1 }).write(toLocalStore: directory)
        let outcomes = try addInNamespace()
        let times = Percentiles(outcomes.map(\.milliseconds))
        let cpu = Percentiles(outcomes.map(\.cpu))
        board.add(
            Figure(
                "first ADDs of \(nodes) nodes, /8 pool, \(taken) blocks taken: longest",
                times.maximum,
                .milliseconds,
                goal: .atMost(200),
                detail: "median \(Figure.Unit.milliseconds.text(times.p50)); "
                    + "CPU of the costliest \(Figure.Unit.milliseconds.text(cpu.maximum))"
            )
        )
    }

    /// Not asynchronous, since a continuation may start threads, which then were in the namespace too.
    private func addInNamespace() throws -> [ProgramRun.Outcome] { try NetworkNamespace.create().run { try add() } }

    private func add() throws -> [ProgramRun.Outcome] {
        let plugin = Plugin(plugin)
        let pods = try (0..<nodes).map { _ in try NetworkNamespace.create() }
        return try pods.enumerated().map { node, pod in
            let outcome = try plugin.start(
                "ADD",
                container: "first-\(node)",
                pod: pod,
                configuration: configuration("node-\(node)")
            ).finish()
            guard outcome.status == 0 else {
                throw BenchmarkFailure("the first ADD of node-\(node) ended with \(outcome.status): \(outcome.output)")
            }
            return outcome
        }
    }

    private func configuration(_ node: String) -> String {
        """
        {"cniVersion": "1.0.0", "name": "bench", "type": "swiftlet", "datastore_type": "local", "data_dir": "\(directory)",
         "ipam_lock_file": "\(directory).lock", "nodename": "\(node)", "nodename_file_optional": true,
         "ipam": {"type": "swiftlet-ipam", "pools": [
            {"name": "default", "cidr": "\(OtherNodes.poolCIDR)", "blockSize": \(Workload.blockSize)}]}}
        """
    }
}
