import ClusterClient
import Foundation
import IPAM
import KubernetesAPI
import NetworkTypes
import Synchronization

/// A clock that stands still until it is moved, and whose sleeps only add up.
public final class ManualClock: Sendable {
    private let time = Mutex(Timestamp("2026-11-20T08:14:03Z")!)
    private let uptime = Mutex(ContinuousClock.now)

    public init() {}

    public var now: Timestamp { time.withLock { $0 } }

    public func advance(_ duration: Duration) { time.withLock { $0 = $0 + duration } }

    public var allocatorClock: AllocatorClock {
        AllocatorClock(
            now: { self.now },
            uptime: { self.uptime.withLock { $0 } },
            sleep: { duration in
                self.uptime.withLock { $0 += duration }
                await Task.yield()
            }
        )
    }
}

/// A store with what keeps it, and allocators on it.
public struct Fixture: Sendable {
    public let store: any Datastore
    public let clock = ManualClock()
    private let keeper: (any Sendable)?

    /// - Parameter keeper: what the store lives in, let go with the fixture.
    public init(_ store: any Datastore, keeping keeper: (any Sendable)? = nil) {
        self.store = store
        self.keeper = keeper
    }

    public func allocator(_ host: String = "node-a") -> Allocator {
        // Rivals share the clock, so that each sleeps for all.
        Allocator(datastore: store, host: host, timeLimit: .seconds(1000), clock: clock.allocatorClock)
    }

    /// An allocator that dies, see ``FaultyDatastore/init(_:dyingAt:isDone:)``.
    public func allocator(dyingAt step: Int, isDone: Bool) -> Allocator {
        let store = FaultyDatastore(store, dyingAt: step, isDone: isDone)
        return Allocator(datastore: store, host: "node-a", timeLimit: .zero, clock: clock.allocatorClock)
    }

    public var administration: IPAMAdministration {
        IPAMAdministration(datastore: store, timeLimit: .seconds(1000), clock: clock.allocatorClock)
    }

    public func pool(
        _ cidr: String,
        name: String = "default",
        blockSize: Int? = nil,
        _ edit: (inout IPPool) -> Void = { _ in }
    )
        -> IPPool
    {
        var pool = IPPool(name: name, spec: .init(cidr: CIDR(cidr)!, blockSize: blockSize))
        edit(&pool)
        return pool
    }

    public func blocks(_ family: IPFamily = .ipv4) async throws -> [Block] {
        try await store.list(.blocks(family)).map { try Block($0) }
    }

    public func put(_ key: RecordKey, _ json: Data) async throws {
        if let record = try await store.get(key) {
            _ = try await store.commit([.update(key, json, record.revision)])
        } else {
            _ = try await store.commit([.create(key, json)])
        }
    }

    public func put(_ resource: some Resource) async throws { try await put(resource.recordKey, resource.json()) }

    public func configure(_ edit: (inout IPAMConfiguration) -> Void) async throws {
        var configuration = IPAMConfiguration()
        edit(&configuration)
        try await put(.ipamConfiguration, configuration.json())
    }

    /// Whether what is stored fits together: B1 to B5, no handle that counts less than the blocks have, and (when
    /// transactions are supposed to see to it) none that counts more, an affinity for each block with an owner.
    public func problems(exact: Bool) async throws -> [String] {
        var problems: [String] = []
        var counts: [String: [CIDR: Int]] = [:]
        for family in IPFamily.allCases {
            for block in try await blocks(family) {
                problems += block.violations(now: clock.now).map { "\(block.cidr): \($0)" }
                for ordinal in block.allocations.indices {
                    guard let handle = block.attribute(ordinal)?.handle else { continue }
                    counts[handle, default: [:]][block.cidr, default: 0] += 1
                }
                if exact, let owner = block.affinity,
                    try await store.get(.blockAffinity(owner, block.cidr)) == nil
                {
                    problems.append("\(block.cidr) has no affinity record of \(owner)")
                }
            }
        }
        var stored: [String: [CIDR: Int]] = [:]
        for record in try await store.list(.handles) {
            guard case .handle(let id) = record.key else { continue }
            stored[id] = try Handle(json: record.value).blocks
        }
        for (id, blocks) in counts {
            for (cidr, count) in blocks where (stored[id]?[cidr] ?? 0) < count {
                problems.append("handle \(id) counts \(stored[id]?[cidr] ?? 0) in \(cidr), which has \(count)")
            }
        }
        if exact, stored != counts { problems.append("handles say \(stored), blocks \(counts)") }
        return problems
    }
}

public func request(
    _ handle: String,
    _ interface: String? = "eth0",
    ipv4: Int = 1,
    ipv6: Int = 0,
    _ edit: (inout AssignmentRequest) -> Void = { _ in }
) -> AssignmentRequest {
    var attributes = ["pod": "pod-\(handle)", "namespace": "default", "node": "node-a"]
    attributes["ifname"] = interface
    var request = AssignmentRequest(handle: handle, attributes: attributes, ipv4: ipv4, ipv6: ipv6)
    edit(&request)
    return request
}
