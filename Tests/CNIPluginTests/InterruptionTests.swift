import CNI
import Foundation
import Testing

@testable import CNIPlugin

/// Many calls at once, and calls that die in the middle.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"), .serialized)
struct InterruptionTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test func manyAtOnce() async throws {
        let pods = try (0..<20).map { _ in try bench.pod() }
        let configuration = bench.configuration(ipv6: true)
        let outcomes = try await withThrowingTaskGroup(of: Bench.Outcome.self) { group in
            for (index, pod) in pods.enumerated() {
                group.addTask { [bench] in try await bench.call("ADD", "c\(index)", namespace: pod, configuration) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.allSatisfy { $0.status == 0 }, "\(outcomes.map(\.output).filter { $0.contains("code") })")
        let addresses = outcomes.flatMap(\.addresses)
        #expect(Set(addresses).count == 40)
        #expect(try await bench.assignedAddresses() == addresses.sorted())
        #expect(try await bench.recordedAddresses() == addresses.sorted())
        #expect(try Set(bench.hostRoutes()) == Set(addresses))
        for (index, pod) in pods.enumerated() where index < 2 {
            #expect(try Set(bench.podAddresses(pod)).isSubset(of: addresses))
        }
        try await withThrowingTaskGroup(of: Int32.self) { group in
            for (index, pod) in pods.enumerated() {
                group.addTask { [bench] in
                    try await bench.call("DEL", "c\(index)", namespace: pod, configuration).status
                }
            }
            for try await status in group { #expect(status == 0) }
        }
        try await expectNothing()
    }

    /// X12: a DEL while the ADD of the same container still runs; a last DEL leaves nothing.
    @Test func deleteDuringAdd() async throws {
        for round in 0..<5 {
            let pod = try bench.pod()
            async let adding = bench.call("ADD", "c\(round)", namespace: pod)
            async let deleting = bench.call("DEL", "c\(round)", namespace: pod)
            let (added, deleted) = try await (adding, deleting)
            #expect(deleted.status == 0, "\(deleted.output)")
            #expect(added.status == 0 || added.code != 999, "\(added.output)")
            #expect(try await bench.call("DEL", "c\(round)", namespace: pod).status == 0)
            try await expectNothing()
        }
    }

    /// V12: two ADDs of one attachment at once are one attachment.
    @Test func sameAddTwice() async throws {
        for round in 0..<5 {
            let pod = try bench.pod()
            async let one = bench.call("ADD", "c\(round)", namespace: pod)
            async let two = bench.call("ADD", "c\(round)", namespace: pod)
            let (first, second) = try await (one, two)
            #expect(first.status == 0, "\(first.output)")
            #expect(second.output == first.output)
            #expect(try await bench.assignedAddresses() == first.addresses)
            #expect(try await bench.call("DEL", "c\(round)", namespace: pod).status == 0)
            try await expectNothing()
        }
    }

    /// X6, X7: an ADD is killed at any moment; DEL, or another ADD and DEL, leave nothing.
    @Test func killedAdds() async throws {
        let pod = try bench.pod()
        let configuration = bench.configuration(ipv6: true)
        let environment = bench.environment(
            "ADD",
            "c1",
            namespace: pod,
            arguments: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b"
        )
        let pods = "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b"
        // How long a whole one takes here, so that the kills spread over all of it.
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try await bench.run(environment, stdin: configuration).status == 0)
        var whole = start.duration(to: clock.now)
        #expect(try await bench.call("DEL", "c1", namespace: pod, arguments: pods, configuration).status == 0)
        var killed = 0
        for round in 0..<200 where killed < 25 {
            let outcome = try await bench.run(
                environment,
                stdin: configuration,
                killAfter: whole * Double.random(in: 0...1)
            )
            if outcome.status != 0 {
                killed += 1
                whole = whole * 1.1
            } else {
                // Too late: the machine has become quicker.
                whole = whole * 0.85
            }
            if round % 2 == 1 {
                let again = try await bench.call("ADD", "c1", namespace: pod, arguments: pods, configuration)
                #expect(again.status == 0, "round \(round): \(again.output) \(again.log)")
                #expect(try await bench.assignedAddresses() == again.addresses.sorted())
                #expect(try await bench.recordedAddresses() == again.addresses.sorted())
                #expect(try Set(bench.podAddresses(pod)) == Set(again.addresses))
                #expect(try Set(bench.hostRoutes()) == Set(again.addresses))
            }
            let deleted = try await bench.call("DEL", "c1", namespace: pod, arguments: pods, configuration)
            #expect(deleted.status == 0, "round \(round): \(deleted.output)")
            try await expectNothing()
            #expect(try bench.ip("link", in: pod).count == 1)
        }
        #expect(killed == 25, "the kills came too late to prove anything")
    }

    @Test func killedDeletes() async throws {
        let pod = try bench.pod()
        for round in 0..<10 {
            #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
            let environment = bench.environment("DEL", "c1", namespace: pod)
            let delay = Duration.microseconds(Int.random(in: 0...30_000))
            _ = try await bench.run(environment, stdin: bench.configuration(), killAfter: delay)
            let deleted = try await bench.call("DEL", "c1", namespace: pod)
            #expect(deleted.status == 0, "round \(round): \(deleted.output)")
            try await expectNothing()
        }
    }

    /// A runtime that went away before it took the result: the ADD is undone.
    @Test func resultThatNobodyTakes() async throws {
        let pod = try bench.pod()
        let outcome = try await bench.run(
            bench.environment("ADD", "c1", namespace: pod),
            stdin: bench.configuration(),
            closesOutput: true
        )
        #expect(outcome.status == 1)
        try await expectNothing()
        #expect(try bench.ip("link", in: pod).count == 1)
    }

    /// Nor does what is attached lose its record when an ADD that is repeated, with something changed, is undone.
    @Test(arguments: ["swiftlet", "swiftlet-ipam"])
    func repeatedAddThatNobodyTakes(_ plugin: String) async throws {
        let pod = try bench.pod()
        let added = try await bench.call("ADD", "c1", namespace: pod)
        #expect(added.status == 0, "\(added.output)")
        func record() async throws -> WorkloadEndpoint {
            try WorkloadEndpoint(record: #require(try await bench.store.list(.resources(.workloadEndpoints)).first))
        }
        let before = try await record()
        let outcome = try await bench.run(
            plugin: plugin,
            bench.environment("ADD", "c1", namespace: pod),
            stdin: bench.configuration(extra: #", "runtimeConfig": {"mac": "0a:58:00:00:00:77"}"#),
            closesOutput: true
        )
        #expect(outcome.status == 1)
        #expect(try await bench.assignedAddresses() == added.addresses)
        #expect(try await record() == before)
        #expect(try bench.hostRoutes() == added.addresses)
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
        try await expectNothing()
    }

    /// Closed streams must not lend their numbers to files of the store.
    @Test(arguments: [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
    func closedStreams(_ redirection: String) async throws {
        let pod = try bench.pod()
        let script = "#!/bin/sh\nexec \(Bench.program) \(redirection)\n"
        try script.write(toFile: bench.directory + "/closed", atomically: true, encoding: .utf8)
        chmod(bench.directory + "/closed", 0o755)
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
        let outcome = try await bench.call("ADD", "c1", namespace: pod, plugin: "closed")
        #expect(outcome.status == 1)
        try await expectNothing()
        // The store is whole.
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
    }

    func expectNothing(_ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try bench.hostLinks() == [], sourceLocation: location)
        #expect(try bench.hostRoutes() == [], sourceLocation: location)
        #expect(try await bench.recordedAddresses() == [], sourceLocation: location)
        #expect(try await bench.assignedAddresses() == [], sourceLocation: location)
    }
}

/// A store that somebody else holds.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct BusyStoreTests {
    @Test func busyIsToldInTimeAndTheLinkGoes() async throws {
        let bench = try Bench()
        let (pod, other) = (try bench.pod(), try bench.pod())
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let lock = open(bench.dataDirectory + "/store/lock", O_RDWR)
        #expect(flock(lock, LOCK_EX) == 0)
        let ended = Collected<String>()
        @Sendable func note(_ name: String, _ outcome: Bench.Outcome) -> Bench.Outcome {
            ended.add(name)
            return outcome
        }
        let start = ContinuousClock.now
        async let adding = note("ADD", bench.call("ADD", "c2", namespace: other))
        let strict = bench.configuration(extra: #", "del_mode": "strict""#)
        async let deleting = note("DEL", bench.call("DEL", "c1", namespace: pod, strict))
        async let asking = note("STATUS", bench.run(["CNI_COMMAND": "STATUS"], stdin: bench.configuration()))
        let (added, deleted, asked) = try await (adding, deleting, asking)
        #expect(asked.code == 50, "\(asked.output)")
        #expect(added.code == 11, "\(added.output)")
        #expect(deleted.code == 11, "\(deleted.output)")
        // STATUS waits for two seconds, the others for eight; more is the machine's own load.
        #expect(ended.all.first == "STATUS")
        #expect(start.duration(to: .now) < .seconds(40))
        #expect(try bench.hostLinks() == [])
        close(lock)
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
        #expect(try await bench.assignedAddresses() == [])
    }
}
