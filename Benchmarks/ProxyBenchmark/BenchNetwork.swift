import Foundation
import Glibc
import Measuring
import Netlink

/// A node between a client and a machine on which the addresses of all endpoints answer, each in a network namespace
/// of its own.
///
/// ```
/// client 10.1.0.2 ── 10.1.0.1 node 10.2.0.1 ── 10.2.0.2 backends: all of 10.128.0.0/9
/// ```
struct BenchNetwork: Sendable {
    let node: NetworkNamespace
    let client: NetworkNamespace
    private let backends: NetworkNamespace
    /// Takes the connections of all endpoints.
    let listener: Listener

    /// Where pods are, the client among them.
    static let clusterCIDR = "10.0.0.0/8"

    init() throws {
        node = try NetworkNamespace.create()
        client = try NetworkNamespace.create()
        backends = try NetworkNamespace.create()
        try Self.shell(
            in: node,
            """
            ip link set lo up
            ip link add clients type veth peer name eth0 netns \(Self.path(client))
            ip link add pods type veth peer name eth0 netns \(Self.path(backends))
            ip address add 10.1.0.1/24 dev clients; ip link set clients up
            ip address add 10.2.0.1/24 dev pods; ip link set pods up
            ip route add 10.128.0.0/9 via 10.2.0.2
            # Whoever dials a Service that is not there yet learns it at once.
            ip route add unreachable default
            echo 1 >/proc/sys/net/ipv4/ip_forward
            # Clients reset their connections, of which there are many.
            echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close
            echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
            echo 0 >/proc/sys/net/ipv4/icmp_ratemask
            """
        )
        try Self.shell(
            in: client,
            """
            ip link set lo up; ip address add 10.1.0.2/24 dev eth0; ip link set eth0 up
            ip route add default via 10.1.0.1
            """
        )
        try Self.shell(
            in: backends,
            """
            ip link set lo up; ip address add 10.2.0.2/24 dev eth0; ip link set eth0 up
            ip route add default via 10.2.0.1
            ip route add local 10.128.0.0/9 dev lo
            echo 65535 >/proc/sys/net/core/somaxconn
            """
        )
        listener = try backends.run { try Listener(port: 8080) }
    }

    /// By a path that other processes can open while this one lives.
    private static func path(_ namespace: NetworkNamespace) -> String {
        "/proc/\(getpid())/fd/\(namespace.descriptor)"
    }

    /// The words in front of a command that make it run in a namespace.
    static func entering(_ namespace: NetworkNamespace) -> [String] { ["--net=\(path(namespace))"] }

    private static func shell(in namespace: NetworkNamespace, _ script: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = entering(namespace) + ["sh", "-ec", script]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BenchmarkFailure("the network could not be made: the script above failed")
        }
    }
}
