import Glibc
import Netlink
import NetworkTypes
import TestSupport

@testable import PodNetwork

/// A node made for one test, and pods on it.
struct PodFixture {
    let host: NetworkNamespace

    init() throws {
        host = try .makeHost()
    }

    struct Pod {
        let namespace: NetworkNamespace
        let addresses: [IPAddress]
        let request: PodNetworkRequest
    }

    func pod(
        _ name: String = "web-0",
        _ addresses: String...,
        change: (inout PodNetworkRequest) -> Void = { _ in }
    ) throws -> Pod {
        let namespace = try NetworkNamespace.makeContainer()
        let parsed = addresses.compactMap { IPAddress($0) }
        var request = PodNetworkRequest(
            namespacePath: namespace.descriptorPath,
            interfaceName: "eth0",
            hostInterfaceName: HostInterfaceName.derive(namespace: "default", pod: name),
            owner: "container-\(name)/eth0",
            addresses: parsed
        )
        change(&request)
        return Pod(namespace: namespace, addresses: parsed, request: request)
    }

    @discardableResult
    func attach(_ pod: Pod) throws -> PodInterfaces {
        try host.run { try PodNetwork.attach(pod.request) }
    }

    func detach(_ pod: Pod, namespacePath: String? = nil, owner: String? = nil) throws {
        try host.run {
            try PodNetwork.detach(
                namespacePath: namespacePath ?? pod.request.namespacePath,
                interfaceName: pod.request.interfaceName,
                hostInterfaceNames: [pod.request.hostInterfaceName],
                addresses: pod.addresses,
                owner: owner ?? pod.request.owner
            )
        }
    }

    func differences(_ pod: Pod) throws -> [String] {
        try host.run { try PodNetwork.differences(from: pod.request) }
    }

    func snapshot(_ pod: Pod) throws -> [String] {
        try Self.snapshot(of: host) + Self.snapshot(of: pod.namespace)
    }

    /// All links, addresses, routes and neighbours of a namespace, as text, but for the link-local address of a link
    /// and the routes that come with it, which the kernel makes when the link has come up.
    static func snapshot(of namespace: NetworkNamespace) throws -> [String] {
        let socket = try NetlinkSocket(in: namespace)
        return try socket.list(.links()).map { "link \($0.name)" }
            + socket.list(.addresses()).filter { !isMadeByKernel($0.prefix) }.map {
                "address \($0.prefix) on \($0.interface)"
            }
            + socket.list(.routes(RouteFilter(table: nil))).filter {
                $0.table != .local && !isMadeByKernel($0.destination)
            }
            .map { "route \($0)" }
            + socket.list(.neighbours()).filter { $0.state.contains(.permanent) }.map { "neighbour \($0.address)" }
    }

    private static func isMadeByKernel(_ prefix: CIDR) -> Bool {
        ["fe80::/10", "ff00::/8"].compactMap { CIDR($0) }.contains { $0.contains(prefix) }
    }
}

extension String {
    var address: IPAddress {
        get throws {
            guard let address = IPAddress(self) else { throw Unparsable(text: self) }
            return address
        }
    }

    var cidr: CIDR {
        get throws {
            guard let cidr = CIDR(self) else { throw Unparsable(text: self) }
            return cidr
        }
    }
}

struct Unparsable: Error {
    let text: String
}
