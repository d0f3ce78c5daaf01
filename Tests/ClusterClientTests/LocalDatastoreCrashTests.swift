import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

/// Processes killed at every step, and other processes that find the store afterwards (L2, L4).
@Suite struct LocalDatastoreCrashTests {
    private func run(_ arguments: String...) async throws -> (lines: [String], status: ChildProcess.ExitStatus) {
        try await ChildProcess(ChildProcess.sibling("store-worker"), arguments).wait()
    }

    /// Ten commits with several checkpoints of a small journal, killed before each change to the disk in turn; then
    /// killed once more early on, which is while the first is being recovered from.
    @Test(arguments: [nil, 0, 2, 5])
    func aKillAtAnyStepLeavesWholeCommits(_ secondStep: Int?) async throws {
        var step = 0
        while true {
            let directory = try TemporaryDirectory()
            let first = try await run("commits", directory.path, "10", "\(step)")
            var acknowledged = first.lines.compactMap { Int($0) }.last ?? 0
            var mostPossible = acknowledged + 1
            if let secondStep, first.status != .exited(0) {
                let second = try await run("commits", directory.path, "10", "\(secondStep)")
                acknowledged = second.lines.compactMap { Int($0) }.last ?? acknowledged
                mostPossible = max(mostPossible, acknowledged + 1)
            }
            let script = CommitScript(store: LocalDatastore(dataDirectory: directory.path))
            let (problems, commits) = try await script.check()
            #expect(problems == [], "killed at step \(step)")
            #expect((acknowledged...mostPossible).contains(commits), "killed at step \(step)")
            if first.status == .exited(0) { break }
            #expect(first.status == .killed(SIGKILL))
            // Life goes on.
            try await script.run(12) { _ in }
            #expect(try await script.check() == ([], 12))
            step += secondStep == nil ? 1 : 4
        }
        #expect(step > 80)
    }

    @Test func processesCountTogether() async throws {
        let directory = try TemporaryDirectory()
        let store = LocalDatastore(dataDirectory: directory.path)
        _ = try await store.commit([.create(.ipamConfiguration, Data("0".utf8))])
        let program = try ChildProcess.sibling("store-worker")
        let processes = try (0..<6).map { _ in try ChildProcess(program, ["increment", directory.path, "50"]) }
        for process in processes { #expect(await process.wait().status == .exited(0)) }
        #expect(try await store.get(.ipamConfiguration)?.value == Data("300".utf8))
    }

    @Test func aLockGoesWithTheProcessThatHeldIt() async throws {
        let directory = try TemporaryDirectory()
        let store = LocalDatastore(dataDirectory: directory.path)
        _ = try await store.commit([.create(.ipamConfiguration, Data("0".utf8))])
        let program = try ChildProcess.sibling("store-worker")
        for round in 0..<20 {
            let before = try await store.get(.ipamConfiguration)?.value
            let process = try ChildProcess(program, ["increment", directory.path, "1000000"])
            // The process takes its time to start.
            let deadline = ContinuousClock.now + .seconds(20)
            while try await store.get(.ipamConfiguration)?.value == before, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(try await store.get(.ipamConfiguration)?.value != before)
            try await Task.sleep(for: .microseconds(700 * round))
            process.kill()
            #expect(await process.wait().status == .killed(SIGKILL))
            let start = ContinuousClock.now
            #expect(try await store.get(.ipamConfiguration) != nil)
            #expect(start.duration(to: .now) < .seconds(8))
        }
    }
}
