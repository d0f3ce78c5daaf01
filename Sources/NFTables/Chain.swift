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
