import Logging
import NFTables
import NetworkTypes
import TestSupport

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// The ways in which a node can be programmed, for tests that are the same for all of them.
enum TestBackend: String, CaseIterable, Sendable, CustomStringConvertible {
    case nftables
    case iptablesNFT = "iptables-nft"
    case iptablesLegacy = "iptables-legacy"

    static let iptables: [TestBackend] = [.iptablesNFT, .iptablesLegacy]

    var description: String { rawValue }

    /// The flavour of iptables; `nil` for nftables.
    var flavour: IPTablesFlavour? {
        switch self {
        case .nftables: nil
        case .iptablesNFT: .nft
        case .iptablesLegacy: .legacy
        }
    }

    func make(
        on node: TestNode,
        masqueradeBit: Int = 14,
        _ surroundings: Surroundings = Surroundings(localSources: .within(TestNode.podNetworks))
    ) throws -> any ServiceBackend {
        guard let tools = tools(in: node) else {
            return NFTablesBackend(
                kernel: try NetfilterSocket(in: node.node),
                options: NFTablesOptions(masqueradeBit: masqueradeBit, surroundings),
                logger: silent
            )
        }
        return IPTablesBackend(
            tools: tools,
            options: IPTablesOptions(masqueradeBit: masqueradeBit, surroundings),
            logger: silent
        )
    }

    func tools(in node: TestNode) -> IPTablesTools? {
        flavour.map { IPTablesTools($0, lockWait: 60, prefix: node.node.entering) }
    }
}

extension NetworkNamespace {
    /// What is put before a command that is to run in this namespace.
    var entering: [String] { ["/usr/bin/nsenter", "--net=\(descriptorPath)"] }
}
