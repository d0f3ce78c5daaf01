// What the allocator and the local store cost: scripts/bench ipam [DIRECTORY]
//
// Times are wall clock, of one process, with fsync on. The directory is made if need be and a new one below it used.

import ClusterClient
import FoundationEssentials
import Glibc
import IPAM
import NetworkTypes

let base = CommandLine.arguments.dropFirst().first ?? "/tmp"
let directory = "\(base)/ipam-benchmark-\(getpid())"
let clock = ContinuousClock()

func milliseconds(_ duration: Duration) -> Double { duration / .milliseconds(1) }

/// The CPU time that this process has used.
func cpuTime() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

/// Runs something once and tells how long it took.
func once(_ what: String, _ body: () async throws -> Void) async throws {
    let start = cpuTime()
    let wall = try await clock.measure { try await body() }
    print("\(what): \(rounded(milliseconds(wall))) ms, \(rounded(milliseconds(cpuTime() - start))) ms of CPU")
}

func report(_ what: String, _ durations: [Duration]) {
    let sorted = durations.sorted()
    func at(_ part: Double) -> Double { milliseconds(sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]) }
    print("\(what): p50 \(rounded(at(0.5))) ms, p95 \(rounded(at(0.95))) ms, max \(rounded(at(1))) ms")
}

func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

func pool(_ name: String, _ cidr: String, _ size: Int) throws -> IPPool {
    guard let cidr = CIDR(cidr) else { throw IPAMError.invalidRequest(cidr) }
    return IPPool(name: name, spec: .init(cidr: cidr, blockSize: size))
}

func request(_ handle: String) -> AssignmentRequest {
    let attributes = [
        "pod": "cart-5d9c8b7f4-\(handle.suffix(5))", "namespace": "shop", "node": "worker-2", "ifname": "eth0",
        "timestamp": "2026-11-20 08:14:03.120045 +0000 UTC",
    ]
    let container = "7f31c0de55aa7f31c0de55aa7f31c0de55aa7f31c0de55aa7f31c0de55aa7f31"
    return AssignmentRequest(handle: "k8s-pod-network.\(container)\(handle)", attributes: attributes, ipv4: 1)
}

func core() {
    let attributes = request("x").attributes
    let blocks = 2000
    let time = clock.measure {
        for number in 0..<blocks {
            guard let cidr = CIDR("10.0.0.0/26") else { return }
            var block = Block(cidr: cidr, affinity: .host("worker-2"), now: .now)
            for ordinal in 0..<64 {
                let owner = Block.Attribute(handleID: "k8s-pod-network.\(number)-\(ordinal)", secondary: attributes)
                if block.assign(count: 1, to: owner).isEmpty { fatalError("a fresh block is full") }
            }
        }
    }
    let rate = Double(blocks * 64) / (time / .seconds(1))
    print("assignments to blocks in memory: \(Int(rate)) per second")
}

func warm() async throws {
    let store = LocalDatastore(dataDirectory: directory + "/warm")
    let allocator = Allocator(datastore: store, host: "worker-2")
    let pools = [try pool("default", "10.80.0.0/16", 26)]
    try await allocator.ensurePools(pools)
    var assigning: [Duration] = []
    let start = cpuTime()
    var releasing: [Duration] = []
    for round in 0..<20 {
        for index in 0..<50 {
            let time = try await clock.measure {
                try await allocator.ensurePools(pools)
                _ = try await allocator.assign(request("\(round)-\(index)"))
            }
            assigning.append(time)
        }
        for index in 0..<50 {
            let handle = request("\(round)-\(index)").handle
            releasing.append(try await clock.measure { try await allocator.release(handle: handle, interface: "eth0") })
        }
    }
    print("CPU per assignment or release: \(rounded(milliseconds(cpuTime() - start) / 2000)) ms")
    report("ensurePools and assign, local store", assigning)
    report("release, local store", releasing)
}

func hundredNodes() async throws {
    let store = LocalDatastore(dataDirectory: directory + "/nodes")
    try await Allocator(datastore: store, host: "x").ensurePools([try pool("default", "10.0.0.0/8", 26)])
    var times: [Duration] = []
    for node in 0..<100 {
        let allocator = Allocator(datastore: store, host: "node-\(node)")
        times.append(try await clock.measure { _ = try await allocator.assign(request("\(node)")) })
    }
    report("first assignment of each of 100 nodes, /8 pool", times)
}

func manyBlocks() async throws {
    let store = LocalDatastore(dataDirectory: directory + "/blocks")
    try await Allocator(datastore: store, host: "x").ensurePools([try pool("default", "10.0.0.0/8", 26)])
    let size = 10_000
    for start in stride(from: 0, to: size, by: 500) {
        var changes: [RecordChange] = []
        for number in start..<start + 500 {
            guard let address = IPAddress("10.0.0.0")?.advanced(by: UInt64(number * 64)),
                let cidr = CIDR(address, prefixLength: 26)
            else { continue }
            var block = Block(cidr: cidr, affinity: .host("node-\(number % 100)"), now: .now)
            for index in 0..<number % 65 {
                let request = request("\(number)-\(index)")
                _ = block.assign(
                    count: 1,
                    to: Block.Attribute(handleID: request.handle, secondary: request.attributes)
                )
            }
            changes.append(.create(.block(cidr), block.json))
        }
        _ = try await store.commit(changes)
    }
    try await once("keys of 10,000 blocks") { _ = try await store.keys(.blocks(.ipv4)) }
    try await once("list of 10,000 blocks, half full") { _ = try await store.list(.blocks(.ipv4)) }
    try await once("usage of 10,000 blocks, half full") { _ = try await IPAMUsage.read(from: store) }
    let allocator = Allocator(datastore: store, host: "newcomer")
    try await once("first assignment beside 10,000 blocks") { _ = try await allocator.assign(request("n")) }
}

core()
try await warm()
try await hundredNodes()
try await manyBlocks()
