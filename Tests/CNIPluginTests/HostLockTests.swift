import Foundation
import Testing

/// The lock that the calls of one host queue for (2.12).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct HostLockTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    /// 2.12: an ADD makes it, where nothing else is said in the data directory; a DEL of nothing does not.
    @Test func hostLockIsInTheDataDirectory() async throws {
        let path = bench.dataDirectory + "/ipam.lock"
        #expect(try await bench.call("DEL", "c1", namespace: bench.pod()).status == 0)
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(try await bench.call("ADD", "c1", namespace: bench.pod()).status == 0)
        #expect(FileManager.default.fileExists(atPath: path))
    }

    /// Calls wait for it, but not for ever.
    @Test(arguments: ["ADD", "DEL"])
    func aHostLockThatIsKeptDelaysOnly(_ command: String) async throws {
        let pod = try bench.pod()
        if command == "DEL" { #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0) }
        try FileManager.default.createDirectory(atPath: bench.dataDirectory, withIntermediateDirectories: true)
        let descriptor = open(bench.dataDirectory + "/ipam.lock", O_RDWR | O_CREAT, 0o600 as mode_t)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX) == 0)
        let start = ContinuousClock.now
        let answer = try await bench.call(command, "c1", namespace: pod)
        #expect(answer.status == 0, "\(answer.output)")
        #expect(ContinuousClock.now - start >= .milliseconds(900))
    }

    @Test func hostLockIsTakenWhereItIsConfigured() async throws {
        let path = bench.directory + "/locks/ipam.lock"
        let added = try await bench.call(
            "ADD",
            "c1",
            namespace: bench.pod(),
            bench.configuration(extra: #", "ipam_lock_file": "\#(path)""#)
        )
        #expect(added.status == 0, "\(added.output)")
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        // Best effort: where it cannot be, it goes without.
        let impossible = bench.configuration(extra: #", "ipam_lock_file": "/proc/nowhere/ipam.lock""#)
        #expect(try await bench.call("ADD", "c2", namespace: bench.pod(), impossible).status == 0)
    }
}
