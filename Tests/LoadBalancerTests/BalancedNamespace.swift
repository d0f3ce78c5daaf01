import Glibc
import Logging
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import LoadBalancer

/// A namespace with a load balancer in it, and what tests need of both.
struct BalancedNamespace {
    let namespace: NetworkNamespace
    let balancer: LoadBalancer

    init(_ adjust: (inout LoadBalancerOptions) -> Void = { _ in }) throws {
        namespace = try NetworkNamespace.makeContainer()
        let namespace = namespace
        var options = LoadBalancerOptions(loopCount: 2) { body in
            Task { try await namespace.run { body() } }
        }
        adjust(&options)
        balancer = try LoadBalancer(options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Dials a listener.
    func client(
        _ transport: TransportProtocol = .tcp,
        from source: String = "127.0.0.1",
        to endpoint: ListenEndpoint,
        timeout: Int = 5000
    ) throws -> TestSocket {
        let socket = try TestSocket(transport, in: namespace, bound: IPAddress(source)!, timeout: timeout)
        try socket.connect(to: endpoint.at.address, port: endpoint.at.port)
        return socket
    }

    /// A target that listens.
    func target(
        _ transport: TransportProtocol = .tcp,
        _ address: String = "127.0.0.1",
        _ port: UInt16 = 8080
    ) throws -> TestSocket {
        try TestSocket(transport, in: namespace, bound: IPAddress(address)!, port: port)
    }

    var counters: GroupCounters {
        get async { await balancer.counters["web"] ?? GroupCounters() }
    }
}

let webPort = ListenEndpoint(.tcp, IPAddress("127.0.1.1")!, 80)

func web(
    at endpoint: ListenEndpoint = webPort,
    _ targets: [String],
    near: [String]? = nil,
    sources: [String]? = nil,
    balancing: Balancing = Balancing(algorithm: .roundRobin),
    whenEmpty: ListenerSpecification.Refusal = .reject
) -> ListenerSpecification {
    ListenerSpecification(
        endpoint,
        group: "web",
        route: TargetList(targets.map(targetAddress), memory: 1),
        nearRoute: near.map { TargetList($0.map(targetAddress)) },
        allowedSources: sources.map { $0.map { CIDR($0)! } },
        balancing: balancing,
        whenEmpty: whenEmpty
    )
}

/// From `127.0.0.1`, at port 8080, or `127.0.0.1 9090`.
func targetAddress(_ text: String) -> TransportAddress {
    let words = text.split(separator: " ").map(String.init)
    return TransportAddress(IPAddress(words[0])!, words.count > 1 ? UInt16(words[1])! : 8080)
}

/// Waits for something to become true.
func eventually(_ what: Comment, _ condition: () async throws -> Bool) async rethrows {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try? await Task.sleep(for: .milliseconds(10))
    }
    Issue.record(what)
}

extension TestSocket {
    func shutDownWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closes with a reset, once this object goes.
    func resetOnClose() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }

    /// Everything until the other side has sent its last byte.
    func receiveAll() throws -> String {
        var all = ""
        while true {
            let text = try receive()
            if text.isEmpty { return all }
            all += text
        }
    }
}
