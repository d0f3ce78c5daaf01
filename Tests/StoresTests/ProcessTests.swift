import ClusterClient
import Foundation
import IPAM
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
        #expect(try await fixture.problems(exact: true) == [])
        #expect(try await IPAMUsage.read(from: fixture.store).pools[0].counts.inUse == 200)
    }

    /// What a killed process printed holds; its last, unprinted operation is there as a whole or not at all (X6, X7).
    @Test(arguments: StoreUnderTest.shared)
    func killedProcessesLoseNothingThatTheyPrinted(_ kind: StoreUnderTest) async throws {
        let instance = try await kind.make()
        let argument = try #require(instance.workerArgument)
        let fixture = try await fixture(instance)
        let program = try ChildProcess.sibling("store-worker")
        var expected: [String: Set<String>] = [:]
        for round in 0..<12 {
            let processes = try (0..<3).map { index in
                (index, try ChildProcess(program, ["churn", argument, "node-\(index)", "r\(round)p\(index)"]))
            }
            try await Task.sleep(for: .milliseconds(Int.random(in: 20...120)))
            for (_, process) in processes { process.kill() }
            for (index, process) in processes {
                let (lines, status) = await process.wait()
                #expect(status == .killed(SIGKILL))
                for line in lines {
                    let words = line.split(separator: " ").map(String.init)
                    expected[words[1]] = words[0] == "+" ? Set(words[2...]) : nil
                }
                // The operation that was under way.
                let last = lines.last?.split(separator: " ").map(String.init)
                let number = last.flatMap { Int($0[1].split(separator: "-").last ?? "") } ?? -1
                for handle in [number, (number + 1) % 7].map({ "r\(round)p\(index)-\($0)" }) { expected[handle] = nil }
            }
            #expect(try await fixture.problems(exact: true) == [])
            for (handle, addresses) in expected {
                let stored = try await fixture.allocator().addresses(ofHandle: handle)
                #expect(Set(stored.map(\.address.description)) == addresses, "\(handle)")
            }
        }
        #expect(!expected.isEmpty)
    }
}
