import ClusterClient
import EtcdStore
import Foundation
import IPAM
import Logging
import NetworkTypes
import TestSupport
import Testing

/// Several processes on one store, some of them killed.
@Suite struct ProcessTests {
    private func fixture(_ instance: StoreInstance) async throws -> Fixture {
        let fixture = Fixture(instance.store, keeping: instance)
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/23", name: "four"), fixture.pool("fd00::/118", name: "six"),
        ])
        return fixture
    }

    @Test(arguments: StoreUnderTest.shared)
    func eightProcessesGetAddressesOfTheirOwn(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let argument = try #require(instance.workerArgument)
        let fixture = try await fixture(instance)
        let program = try ChildProcess.sibling("store-worker")
        let processes = try (0..<8).map { index in
            try ChildProcess(program, ["assign", argument, "node-\(index % 3)", "25", "p\(index)"])
        }
        var addresses: [String] = []
        for process in processes {
            let (lines, status) = await process.wait()
            #expect(status == .exited(0))
            addresses += lines
        }
        #expect(addresses.count == 200)
        #expect(Set(addresses).count == 200)
        #expect(try await fixture.problems(exact: fixture.store.commitsAtomically) == [])
        #expect(try await IPAMUsage.read(from: fixture.store).pools[0].counts.inUse == 200)
    }

    /// What a killed process printed holds; its last, unprinted operation is there as a whole or not at all (X6, X7).
    @Test(arguments: StoreUnderTest.shared)
    func killedProcessesLoseNothingThatTheyPrinted(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let argument = try #require(instance.workerArgument)
        let fixture = try await fixture(instance)
        let program = try ChildProcess.sibling("store-worker")
        var expected = Printed()
        // Requests over HTTP take longer to begin with.
        let (rounds, start) = kind == .kubernetes ? (6, 300) : (12, 20)
        for round in 0..<rounds {
            let processes = try (0..<3).map { index in
                (index, try ChildProcess(program, ["churn", argument, "node-\(index)", "r\(round)p\(index)"]))
            }
            try await Task.sleep(for: .milliseconds(Int.random(in: start...start + 100) * (1 + round / 3)))
            for (_, process) in processes { process.kill() }
            for (index, process) in processes {
                let (lines, status) = await process.wait()
                #expect(status == .killed(SIGKILL))
                expected.take(lines, of: "r\(round)p\(index)")
            }
            try await expected.check(fixture)
        }
        #expect(!expected.isEmpty)
    }

    /// 20 nodes on one etcd, each with a process that is killed again and again, while etcd itself is killed and comes
    /// back: what was printed holds, no address has two owners, and the records are sound (B1 to B5).
    @Test func twentyNodesOnOneEtcd() async throws {
        let etcd = try await EtcdServer()
        let prefix = "/twenty"
        let store = try EtcdDatastore(
            EtcdConfiguration(environment: ["ETCD_ENDPOINTS": etcd.endpoint]),
            prefix: prefix,
            logger: Logger(label: "test")
        )
        // Of few blocks, so that nodes have to borrow and to take over.
        let fixture = Fixture(store, keeping: etcd)
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/24", name: "four", blockSize: 28),
            fixture.pool("fd00::/120", name: "six", blockSize: 124),
        ])
        let program = try ChildProcess.sibling("store-worker")
        var expected = Printed()
        for round in 0..<3 {
            let processes = try (0..<20).map { index in
                (
                    index,
                    try ChildProcess(
                        program,
                        ["churn", "etcd:\(etcd.endpoint)\(prefix)", "node-\(index)", "r\(round)p\(index)"]
                    )
                )
            }
            try await Task.sleep(for: .milliseconds(800))
            etcd.stop()
            try await etcd.start()
            for (_, process) in processes {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...60)))
                process.kill()
            }
            var busy: Set<Int> = []
            for (index, process) in processes {
                let (lines, status) = await process.wait()
                if !lines.isEmpty { busy.insert(index) }
                // One that found the store away for too long has said so, and ended.
                #expect(status == .killed(SIGKILL) || status == .exited(1))
                expected.take(lines, of: "r\(round)p\(index)")
            }
            try await expected.check(fixture)
            #expect(busy.count > 5 && !expected.isEmpty, "round \(round)")
            // Room for the next round, which the dead do not make.
            for key in try await fixture.store.keys(.handles) {
                if case .handle(let handle) = key { try await fixture.allocator().release(handle: handle) }
            }
            expected = Printed()
            #expect(try await fixture.blocks().allSatisfy(\.isEmpty))
            #expect(try await fixture.problems(exact: true) == [])
        }
    }
}

/// The addresses of each handle, by what killed processes printed.
private struct Printed {
    private var addresses: [String: Set<String>] = [:]

    var isEmpty: Bool { addresses.isEmpty }

    /// - Parameter prefix: that of the process's handles.
    mutating func take(_ lines: [String], of prefix: String) {
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            addresses[words[1]] = words[0] == "+" ? Set(words[2...]) : nil
        }
        // The operation that was under way.
        let last = lines.last?.split(separator: " ").map(String.init)
        let number = last.flatMap { Int($0[1].split(separator: "-").last ?? "") } ?? -1
        for handle in [number, (number + 1) % 7].map({ "\(prefix)-\($0)" }) { addresses[handle] = nil }
    }

    func check(_ fixture: Fixture) async throws {
        // A request that was on its way when its process was killed may count while the records are read.
        let isExact = fixture.store.commitsAtomically
        var problems = try await fixture.problems(exact: isExact)
        for _ in 0..<20 where !problems.isEmpty {
            try await Task.sleep(for: .milliseconds(50))
            problems = try await fixture.problems(exact: isExact)
        }
        #expect(problems == [])
        for (handle, expected) in addresses {
            let stored = try await fixture.allocator().addresses(ofHandle: handle)
            #expect(Set(stored.map(\.address.description)) == expected, "\(handle)")
        }
    }
}
