import ClusterClient
import IPAM
import Measuring
import NetworkTypes
import TestSupport

/// How many addresses a second can be handed out when no disk and no network is in the way.
enum AllocatorCore {
    private static let goal = Figure.Goal.atLeast(50_000)
    /// Two blocks, a little more than a node has of pods by the kubelet's default.
    private static let addressesPerNode = 128

    static func measure(_ board: inout Scoreboard) async throws {
        let values = try blocksAlone()
        board.add(
            Figure(
                "assignments to blocks in memory",
                values,
                .perSecond,
                goal: goal,
                detail: "decisions alone, no JSON"
            )
        )
        for size in [1, 64] {
            let (rate, mean) = try await allocator(perRequest: size)
            board.add(
                Figure(
                    "assignments by the allocator, store in memory, \(size) a request",
                    rate,
                    .perSecond,
                    // One at a time it is a block's JSON, read and written for each, that is measured.
                    goal: size == 1 ? nil : goal,
                    detail: "\(addressesPerNode) of each node; \((mean * 1e3).text(digits: 0)) µs of CPU each"
                )
            )
        }
    }

    /// Fills blocks, one address at a time.
    private static func blocksAlone() throws -> Double {
        let count = 4000
        guard let cidr = CIDR("10.0.0.0/26") else { throw BenchmarkFailure("no prefix") }
        let attributes = Workload.request("x").attributes
        let start = monotonicMilliseconds()
        for number in 0..<count {
            var block = Block(cidr: cidr, affinity: .host(Workload.node), now: .now)
            for ordinal in 0..<block.size {
                let owner = Block.Attribute(handleID: "bench.\(number)-\(ordinal)", secondary: attributes)
                guard block.assign(count: 1, to: owner) == [ordinal] else {
                    throw BenchmarkFailure("a block with room did not give its next address")
                }
            }
        }
        return Double(count * 64) / (monotonicMilliseconds() - start) * 1e3
    }

    /// Requests through everything but a real store: each reads and writes its records as JSON.
    private static func allocator(perRequest size: Int) async throws -> (perSecond: Double, meanCPU: Double) {
        let store = MemoryDatastore()
        let nodes = 100
        try await Allocator(datastore: store, host: Workload.node).ensurePools([Workload.pool("10.80.0.0/16")])
        var addresses: Set<IPAddress> = []
        let cost = try await measureCost {
            for node in 0..<nodes {
                let host = "node-\(node)"
                let allocator = Allocator(datastore: store, host: host)
                for pod in 0..<addressesPerNode / size {
                    var request = Workload.request("\(node)-\(pod)", node: host)
                    request.ipv4 = size
                    addresses.formUnion(try await allocator.assign(request).map(\.address))
                }
            }
        }
        let count = nodes * addressesPerNode
        guard addresses.count == count else { throw BenchmarkFailure("an address was given twice") }
        return (Double(count) / cost.wall * 1e3, cost.cpu / Double(count))
    }
}
