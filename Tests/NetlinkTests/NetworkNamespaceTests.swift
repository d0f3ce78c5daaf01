import Dispatch
import Glibc
import NetworkTypes
import Synchronization
import TestSupport
import Testing

@testable import Netlink

@Suite(.enabled(if: isRoot))
struct NetworkNamespaceTests {
    @Test func callerStaysWhereItIs() throws {
        let own = try NetworkNamespace.current()
        let other = try NetworkNamespace.create()
        #expect(own != other)
        #expect(try other.run { try NetworkNamespace.current() } == other)
        #expect(try NetworkNamespace.current() == own)
        #expect(try NetworkNamespace(path: other.descriptorPath) == other)
    }

    /// Where a task is resumed, Swift may start threads, which stay in the namespace of the one that starts them.
    @Test func noTaskIsResumedFromWithin() async throws {
        let (own, other) = (try NetworkNamespace.current(), try NetworkNamespace.create())
        let executor = NotingExecutor()
        let found = try await withTaskExecutorPreference(executor) {
            try await other.run { try NetworkNamespace.current().identity }
        }
        #expect(found == other.identity)
        let resumptions = executor.namespaces.withLock { $0 }
        #expect(!resumptions.isEmpty && resumptions.allSatisfy { $0 == own.identity })
    }

    @Test func asynchronousCallersStayToo() async throws {
        let other = try NetworkNamespace.create()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<64 {
                group.addTask {
                    if index.isMultiple(of: 2) {
                        return try await other.run { try NetworkNamespace.current() } == other
                    }
                    return try NetworkNamespace.current() != other
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }

    /// A closure of the main actor would trap on a thread that is not the main one.
    @MainActor
    @Test func callersOfAnActorAreServed() throws {
        let other = try NetworkNamespace.create()
        let values = try other.run { try ["1", "2"].map { try NetworkNamespace.current() == other ? $0 : "" } }
        #expect(values == ["1", "2"])
    }

    @Test func errorsComeBack() async throws {
        struct Sample: Error {}
        let namespace = try NetworkNamespace.create()
        #expect(throws: Sample.self) { _ = try blocking(namespace) { throw Sample() } }
        await #expect(throws: Sample.self) { try await namespace.run { throw Sample() } }
    }

    /// The form without `await`, which an asynchronous test cannot name.
    private func blocking(_ namespace: NetworkNamespace, _ body: @Sendable () throws -> Void) throws {
        try namespace.run(body)
    }

    @Test func whatIsNotANamespace() throws {
        let cases: [(String, String)] = [
            ("/proc", "it is a directory"), ("/dev/zero", "it is a device"),
            ("/etc/hostname", "it is an ordinary file"),
            ("/proc/self/ns/uts", "it is a namespace of another kind"),
        ]
        for (path, reason) in cases {
            #expect(throws: NetworkNamespaceError.notANamespace(path: path, reason: reason)) {
                try NetworkNamespace(path: path)
            }
        }
        for path in ["/nonexistent/x", "", "/etc/hostname/x", "/proc/self/ns/net\0x"] {
            #expect(throws: NetworkNamespaceError.missing(path: path)) { try NetworkNamespace(path: path) }
        }
    }

    @Test func socketTalksAboutTheNamespaceItWasMadeIn() throws {
        let namespace = try NetworkNamespace.create()
        let socket = try NetlinkSocket(in: namespace)
        try socket.send(.addLink(name: "br7", kind: "bridge"))
        #expect(try namespace.run { try NetlinkSocket().get(.link(.name("br7"))).name } == "br7")
        #expect(throws: NetlinkError.self) { try NetlinkSocket().get(.link(.name("br7"))) }
    }
}

/// Runs tasks elsewhere, and notes in which namespace the threads are that ask for it.
private final class NotingExecutor: TaskExecutor {
    let namespaces = Mutex<[NetworkNamespace.Identity?]>([])
    private let queue = DispatchQueue(label: "tasks")

    func enqueue(_ job: consuming ExecutorJob) {
        namespaces.withLock { $0.append(try? NetworkNamespace.current().identity) }
        let job = UnownedJob(job)
        let executor = asUnownedTaskExecutor()
        queue.async { job.runSynchronously(on: executor) }
    }
}

@Suite(.enabled(if: isRoot))
struct SysctlTests {
    @Test func readsAndWritesInTheThreadsNamespace() throws {
        let namespace = try NetworkNamespace.create()
        try NetlinkSocket(in: namespace).send(.addLink(name: "br0.5", kind: "bridge"))
        let setting = try #require(Sysctl("ipv4", "conf", "br0.5", "proxy_arp"))
        #expect(setting.path == "/proc/sys/net/ipv4/conf/br0.5/proxy_arp")
        let values = try namespace.run {
            let before = try setting.read()
            try setting.write("1")
            return [before, try setting.read()]
        }
        #expect(values == ["0", "1"])
        #expect(throws: SysctlError.self) { try setting.read() }
    }

    @Test func errorsNameFileAndValue() throws {
        let namespace = try NetworkNamespace.create()
        let setting = try #require(Sysctl("ipv4", "ip_forward"))
        let error = #expect(throws: SysctlError.self) { try namespace.run { try setting.write("many") } }
        #expect("\(try #require(error))" == "write \"many\" to /proc/sys/net/ipv4/ip_forward: Invalid argument")
        let missing = try #require(Sysctl("ipv4", "conf", "nothere", "forwarding"))
        let second = #expect(throws: SysctlError.self) { try namespace.run { try missing.read() } }
        #expect(
            "\(try #require(second))"
                == "read /proc/sys/net/ipv4/conf/nothere/forwarding: No such file or directory"
        )
    }

    @Test func namesThatLeadElsewhereAreRefused() {
        for components in [["ipv4", ".."], ["a/b"], [""], [], ["."], ["a\0b"]] {
            #expect(Sysctl(components) == nil, "\(components)")
        }
    }
}
