import ClusterClient
import IPAM
import Measuring

/// A node whose pods come and go, on the local store.
struct WarmStore {
    let directory: String

    func measure(_ board: inout Scoreboard) async throws {
        let allocator = Allocator(datastore: LocalDatastore(dataDirectory: directory), host: Workload.node)
        let pools = [try Workload.pool("10.80.0.0/16")]
        try await allocator.ensurePools(pools)
        var assigning: [Cost] = []
        var releasing: [Cost] = []
        for round in 0..<20 {
            let requests = (0..<50).map { Workload.request("\(round)-\($0)") }
            for request in requests {
                assigning.append(
                    try await measureCost {
                        try await allocator.ensurePools(pools)
                        _ = try await allocator.assign(request)
                    }
                )
            }
            for request in requests {
                releasing.append(
                    try await measureCost { try await allocator.release(handle: request.handle, interface: "eth0") }
                )
            }
        }
        add(&board, "assignment on the local store", CostSummary(assigning))
        add(&board, "release on the local store", CostSummary(releasing))
    }

    private func add(_ board: inout Scoreboard, _ name: String, _ costs: CostSummary) {
        let rest = "95th percentile \(Figure.Unit.milliseconds.text(costs.wall.p95))"
        board.add(
            Figure(
                name,
                costs.wall.p50,
                .milliseconds,
                detail: "\(rest), CPU \(Figure.Unit.milliseconds.text(costs.cpuMean))"
            )
        )
    }
}
