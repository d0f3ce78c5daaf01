// NFTables: tables, chains, rules, sets and maps as values; a transaction that changes any number of them in one
// atomic netlink batch; reading them back; and word of what others change. Over libnftnl and libmnl: no `nft` process.
// There is a kernel (`NetfilterSocket`) and one in memory with the same rules (`FakeKernel`). Knows no Services.

import CNetfilter
import NetworkTypes

/// The address family of a table.
public enum Family: UInt8, Hashable, Sendable, CaseIterable {
    /// IPv4 and IPv6 in one table (NFPROTO_INET).
    case inet = 1
    /// NFPROTO_IPV4
    case ip = 2
    /// NFPROTO_IPV6
    case ip6 = 10

    public init(_ family: IPFamily) {
        self = family == .ipv4 ? .ip : .ip6
    }
}

extension Family: CustomStringConvertible {
    /// As `nft` writes it: `inet`, `ip` or `ip6`.
    public var description: String {
        switch self {
        case .inet: "inet"
        case .ip: "ip"
        case .ip6: "ip6"
        }
    }
}

/// A table; two tables with the same name in different families are different tables.
public struct Table: Hashable, Sendable {
    public let family: Family
    public let name: String
    public let comment: String?

    public init(family: Family, name: String, comment: String? = nil) {
        self.family = family
        self.name = name
        self.comment = comment
    }

    /// Whether both name the same object, whatever their comments say.
    public func isSameTable(as other: Table) -> Bool { family == other.family && name == other.name }
}

extension Table: CustomStringConvertible {
    /// `ip swiftlet`, as in `nft list table ip swiftlet`.
    public var description: String { "\(family) \(name)" }
}

/// A chain: a place for rules. A base chain is called by the kernel, a regular chain by jumps.
public struct Chain: Hashable, Sendable {
    /// Where the kernel calls a base chain (linux/netfilter.h, NF_INET_*).
    public enum Hook: UInt32, Hashable, Sendable {
        case prerouting = 0
        case input = 1
        case forward = 2
        case output = 3
        case postrouting = 4
    }

    public enum Kind: String, Hashable, Sendable {
        case filter
        case nat
        case route
    }

    public enum Policy: UInt32, Hashable, Sendable {
        case drop = 0
        case accept = 1
    }

    public struct Base: Hashable, Sendable {
        public let kind: Kind
        public let hook: Hook
        /// Lower runs first; `nft` calls -100 `dstnat` in prerouting and 100 `srcnat` in postrouting.
        public let priority: Int32
        public let policy: Policy

        public init(_ kind: Kind, _ hook: Hook, priority: Int32, policy: Policy = .accept) {
            self.kind = kind
            self.hook = hook
            self.priority = priority
            self.policy = policy
        }
    }

    public let name: String
    public let base: Base?
    public let comment: String?

    public init(_ name: String, base: Base? = nil, comment: String? = nil) {
        self.name = name
        self.base = base
        self.comment = comment
    }
}

/// A rule of a chain: expressions that run in order until one ends the rule.
public struct Rule: Hashable, Sendable {
    public let chain: String
    public let expressions: [Expression]
    public let comment: String?

    public init(chain: String, _ expressions: [Expression], comment: String? = nil) {
        self.chain = chain
        self.expressions = expressions
        self.comment = comment
    }
}

/// A rule as the kernel holds it, with the handle to delete it by.
public struct ListedRule: Hashable, Sendable {
    public let handle: UInt64
    public let rule: Rule
}

/// What happens to a packet next.
public enum Verdict: Hashable, Sendable {
    case accept
    case drop
    case `continue`
    case `return`
    case jump(String)
    case goto(String)

    /// NF_* and NFT_* of linux/netfilter.h and linux/netfilter/nf_tables.h.
    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .continue: -1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }

    /// The chain that packets are sent to.
    public var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        default: nil
        }
    }

    init?(code: Int32, chain: String?) {
        switch (code, chain) {
        case (0, nil): self = .drop
        case (1, nil): self = .accept
        case (-1, nil): self = .continue
        case (-5, nil): self = .return
        case (-3, let chain?): self = .jump(chain)
        case (-4, let chain?): self = .goto(chain)
        default: return nil
        }
    }
}

extension Verdict: CustomStringConvertible {
    public var description: String {
        switch self {
        case .accept: "accept"
        case .drop: "drop"
        case .continue: "continue"
        case .return: "return"
        case .jump(let chain): "jump \(chain)"
        case .goto(let chain): "goto \(chain)"
        }
    }
}
