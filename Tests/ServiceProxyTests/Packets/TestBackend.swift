import Logging
import NFTables
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetlinkSocket
import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// The ways in which a node can be programmed, for tests that are the same for all of them.
enum TestBackend: String, CaseIterable, Sendable, CustomStringConvertible {
    case nftables
    case iptablesNFT = "iptables-nft"
    case iptablesLegacy = "iptables-legacy"
    case userspace

    static let iptables: [TestBackend] = [.iptablesNFT, .iptablesLegacy]

    var description: String { rawValue }

    /// The flavour of iptables; `nil` for other modes.
    var flavour: IPTablesFlavour? {
        switch self {
        case .nftables, .userspace: nil
        case .iptablesNFT: .nft
        case .iptablesLegacy: .legacy
        }
    }

    func make(
        on node: TestNode,
        masqueradeBit: Int = 14,
        _ surroundings: Surroundings = Surroundings(localSources: .within(TestNode.podNetworks))
    ) throws -> any ServiceBackend {
        switch self {
        case .nftables:
            return NFTablesBackend(
                kernel: try NetfilterSocket(in: node.node),
                options: NFTablesOptions(masqueradeBit: masqueradeBit, surroundings),
                logger: silent
            )
        case .iptablesNFT, .iptablesLegacy:
            return IPTablesBackend(
                tools: try #require(tools(in: node)),
                options: IPTablesOptions(masqueradeBit: masqueradeBit, surroundings),
                logger: silent
            )
        case .userspace:
            try node.waitForRoutes()
            var options = UserspaceOptions(surroundings: surroundings)
            options.namespace = node.node
            options.loadBalancer.loopCount = 2
            options.reach = .addresses
            let backend = UserspaceBackend(options: options)
            node.keep(backend)
            return backend
        }
    }

    /// What a process would have that takes over from another. Sockets end with their process; rules stay.
    func takeOver(from old: any ServiceBackend, on node: TestNode) async throws -> any ServiceBackend {
        await (old as? UserspaceBackend)?.stop()
        return try make(on: node)
    }

    func tools(in node: TestNode) -> IPTablesTools? {
        flavour.map { IPTablesTools($0, lockWait: 60, prefix: node.node.entering) }
    }
}

extension TestNode {
    /// The kernel makes the local routes of IPv6 addresses a moment after it has taken these.
    func waitForRoutes() throws {
        let socket = try NetlinkSocket(in: node)
        let deadline = ContinuousClock.now + .seconds(10)
        while !routerAddresses.allSatisfy({ ServiceAddresses.isLocal($0, socket) }) {
            guard ContinuousClock.now < deadline else { throw NodeFailure.noRoutes(routerAddresses) }
        }
    }

    private enum NodeFailure: Error {
        case noRoutes([IPAddress])
    }
}

extension NetworkNamespace {
    /// What is put before a command that is to run in this namespace.
    var entering: [String] { ["/usr/bin/nsenter", "--net=\(descriptorPath)"] }
}
