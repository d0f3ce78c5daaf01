import Foundation
import Glibc
import Netlink
import NetworkTypes
import Synchronization
import TestSupport

@testable import ServiceProxy

/// A node with three pods of its own and a machine outside, each in a network namespace, with servers in the pods that
/// answer with their name and the client's address.
final class TestNode: Sendable {
    struct Machine: Sendable {
        let name: String
        let namespace: NetworkNamespace
        let addresses: [IPFamily: IPAddress]
    }

    let node: NetworkNamespace
    let pods: [Machine]
    let outside: Machine
    /// The node's addresses on its links to the pods and the outside.
    let routerAddresses: [IPAddress]
    private let servers: EchoServers
    private let backends = Mutex<[any ServiceBackend]>([])

    /// Where the pods are.
    static let podNetworks = [CIDR("10.9.0.0/16")!, CIDR("fd09::/16")!]
    /// The node's address on the link to the outside.
    static let nodeAddresses: [IPFamily: IPAddress] = [
        .ipv4: IPAddress("192.0.2.1")!, .ipv6: IPAddress("fd02::1")!,
    ]
    static let port: UInt16 = 8080

    /// - Parameter bridge: the name of a bridge that the pods are on; else each is on a link of its own.
    init(bridge: String? = nil) throws {
        let node = try NetworkNamespace.makeHost()
        self.node = node
        if let bridge {
            try node.ip("link", "add", bridge, "type", "bridge")
            try node.ip("link", "set", bridge, "up")
        }
        routerAddresses =
            (1...3).flatMap { [IPAddress("10.9.\($0).1")!, IPAddress("fd09:\($0)::1")!] } + Self.nodeAddresses.values
        pods = try (1...3).map { index in
            try Self.attach(
                "pod\(index)",
                to: node,
                router: ["10.9.\(index).1/24", "fd09:\(index)::1/64"],
                machine: ["10.9.\(index).2/24", "fd09:\(index)::2/64"],
                bridge: bridge
            )
        }
        outside = try Self.attach(
            "outside",
            to: node,
            router: ["192.0.2.1/24", "fd02::1/64"],
            machine: ["192.0.2.2/24", "fd02::2/64"]
        )
        // Like any node it knows a way to everywhere: where a packet would go is asked before it is translated.
        let socket = try NetlinkSocket(in: node)
        try socket.send(.addVeth(VethEnd(name: "uplink"), peer: VethEnd(name: "nowhere")))
        for end in ["uplink", "nowhere"] { try socket.send(.setLink(.name(end), up: true)) }
        let uplink = try socket.get(.link(.name("uplink"))).index
        for destination in ["0.0.0.0/0", "::/0"] {
            try socket.send(.addRoute(to: CIDR(destination)!, via: .interface(uplink)))
        }
        servers = try EchoServers()
        for pod in pods {
            for address in pod.addresses.values { try servers.serve(pod.name, in: pod.namespace, address, Self.port) }
        }
    }

    private static func attach(
        _ name: String,
        to node: NetworkNamespace,
        router: [String],
        machine: [String],
        bridge: String? = nil
    ) throws -> Machine {
        let namespace = try NetworkNamespace.makeContainer()
        let nodeSocket = try NetlinkSocket(in: node)
        let socket = try NetlinkSocket(in: namespace)
        try nodeSocket.send(.addVeth(VethEnd(name: name), peer: VethEnd(name: "eth0"), in: namespace))
        if let bridge {
            try node.ip("link", "set", name, "master", bridge)
            try nodeSocket.send(.setLink(.name(name), up: true))
        }
        for (end, link, addresses) in [(nodeSocket, bridge ?? name, router), (socket, "eth0", machine)] {
            let index = try end.get(.link(.name(link))).index
            try end.send(.setLink(.name(link), up: true))
            for address in addresses {
                try end.send(
                    .addAddress(InterfaceAddress(CIDR(address)!, on: index, flags: .noDuplicateDetection))
                )
            }
        }
        let index = try socket.get(.link(.name("eth0"))).index
        for (destination, address) in zip(["0.0.0.0/0", "::/0"], router) {
            try socket.send(.addRoute(to: CIDR(destination)!, via: .gateway(CIDR(address)!.address, on: index)))
        }
        let own = machine.map { CIDR($0)!.address }
        return Machine(
            name: name,
            namespace: namespace,
            addresses: Dictionary(uniqueKeysWithValues: own.map { ($0.family, $0) })
        )
    }

    /// Where what a process of the node sends to a pod comes from, if the pods are on links of their own.
    func address(toward pod: String, _ family: IPFamily) -> IPAddress? {
        pods.first { $0.name == pod }.flatMap {
            IPAddress(family == .ipv4 ? "10.9.\($0.name.dropFirst(3)).1" : "fd09:\($0.name.dropFirst(3))::1")
        }
    }

    /// Lets a backend live as long as the node, as one does that serves by sockets of its own.
    func keep(_ backend: any ServiceBackend) { backends.withLock { $0.append(backend) } }

    /// The pods as backends, given by number.
    func backends(_ numbers: [Int], _ family: IPFamily) -> [Backend] {
        numbers.map { number in
            Backend(address: pods[number - 1].addresses[family]!, port: Self.port, isLocal: true)
        }
    }
}

/// What a server said.
struct Answer: Hashable, Sendable {
    /// The pod that answered.
    let pod: String
    /// Who it thinks asked.
    let source: IPAddress
}

extension TestNode {
    /// Makes the node forget what it tracks.
    func forgetFlows(_ family: IPFamily, _ transport: TransportProtocol) throws {
        let socket = try NetlinkSocket(.netfilter, in: node)
        _ = try socket.deleteConntrackEntries(try socket.conntrackEntries(family, transport) { _ in true })
    }
}

/// Dials once and returns the answer; throws ``TestSocket/Failure`` with the error number.
func dial(
    _ transport: TransportProtocol,
    from namespace: NetworkNamespace,
    to address: IPAddress,
    port: UInt16,
    bound source: IPAddress? = nil,
    sourcePort: UInt16 = 0,
    timeout: Int = 10_000
) throws -> Answer {
    let any: IPAddress = source ?? (address.family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified))
    let socket = try TestSocket(transport, in: namespace, bound: any, port: sourcePort, timeout: timeout)
    try socket.connect(to: address, port: port)
    try socket.send("?")
    let words = try socket.receive().split(separator: " ").map(String.init)
    guard words.count == 2, let source = IPAddress(words[1]) else {
        throw POSIXError(.EPROTO)
    }
    return Answer(pod: words[0], source: source)
}

/// TCP and UDP servers on threads of their own, which end with this object.
private final class EchoServers: Sendable {
    private let pipe: (read: Int32, write: Int32)

    init() throws {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw POSIXError(.EMFILE) }
        pipe = (ends[0], ends[1])
    }

    // The threads see the pipe hang up; they close what they hold.
    deinit { close(pipe.write) }

    func serve(_ name: String, in namespace: NetworkNamespace, _ address: IPAddress, _ port: UInt16) throws {
        let tcp = try TestSocket(.tcp, in: namespace, bound: address, port: port)
        let udp = try TestSocket(.udp, in: namespace, bound: address, port: port)
        listen(tcp.descriptor, 1024)
        let stop = dup(pipe.read)
        Thread.detachNewThread {
            defer { close(stop) }
            var waits = [tcp.descriptor, udp.descriptor, stop].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            while poll(&waits, 3, -1) >= 0, waits[2].revents == 0 {
                if waits[0].revents != 0, let client = try? tcp.accept() {
                    let source = Self.peer(of: client.descriptor)
                    // A client that went away meanwhile is no concern of the server.
                    _ = try? client.receive()
                    try? client.send("\(name) \(source)")
                }
                if waits[1].revents != 0, let asked = try? udp.receiveWithSender(), let sender = asked.sender {
                    try? udp.send("\(name) \(sender)", to: sender, port: asked.port)
                }
            }
        }
    }

    private static func peer(of descriptor: Int32) -> String {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        _ = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        let bytes = withUnsafeBytes(of: storage) { Array($0) }
        let isIPv6 = storage.ss_family == sa_family_t(AF_INET6)
        return IPAddress(bytes: isIPv6 ? bytes[8..<24] : bytes[4..<8])?.description ?? "?"
    }
}

/// Dials again and again on a thread of its own, until told to stop.
final class LoadGenerator: Sendable {
    struct Outcome: Sendable {
        var dialled = 0
        var failures: [String] = []
    }

    private let outcome = Mutex(Outcome())
    private let isStopped = Atomic(false)
    private let done = DispatchSemaphore(value: 0)

    init(from namespace: NetworkNamespace, to address: IPAddress, port: UInt16) {
        Thread.detachNewThread { [self] in
            while !isStopped.load(ordering: .relaxed) {
                let result = Result { try dial(.tcp, from: namespace, to: address, port: port) }
                outcome.withLock { outcome in
                    outcome.dialled += 1
                    if case .failure(let error) = result { outcome.failures.append("\(error)") }
                }
            }
            done.signal()
        }
    }

    var dialled: Int { outcome.withLock { $0.dialled } }

    func stop() -> Outcome {
        isStopped.store(true, ordering: .relaxed)
        done.wait()
        return outcome.withLock { $0 }
    }
}
