import NFTables
import NetworkTypes

/// Pieces of rules that load keys into registers and test packets, for one family.
struct Match {
    let family: Family

    /// RTN_LOCAL
    static let localType: UInt32 = 2

    /// `ct state new` (a bit of the register, as `nft` writes it)
    static let newConnection: [Expression] = [
        .connection(.state, into: Register(0)), .and(Register(0), 8), .compare(Register(0), .notEqual, hostOrder: 0),
    ]
    /// `ct status dnat` (IPS_DST_NAT)
    static let isTranslated: [Expression] = [
        .connection(.status, into: Register(0)), .and(Register(0), 0x20),
        .compare(Register(0), .notEqual, hostOrder: 0),
    ]

    static func isMarked(_ mark: UInt32) -> [Expression] {
        [.meta(.mark, into: Register(0)), .and(Register(0), mark), .compare(Register(0), .equal, hostOrder: mark)]
    }

    /// The length of an address in registers of four bytes.
    var addressWords: UInt32 { family == .ip6 ? 4 : 1 }

    func source(into word: UInt32) -> Expression { .sourceAddress(family, into: Register(word)) }
    func destination(into word: UInt32) -> Expression { .destinationAddress(family, into: Register(word)) }

    private func ports(from word: UInt32) -> [Expression] {
        [.meta(.transport, into: Register(word)), .destinationPort(into: Register(word + 1))]
    }

    /// The key of a frontend, in words from `word` on.
    func frontend(_ scope: Scope, from word: UInt32) -> [Expression] {
        switch scope {
        case .service: [destination(into: word)] + ports(from: word + addressWords)
        case .nodePort: ports(from: word)
        }
    }

    /// `meta l4proto . th dport`
    var ports: [Expression] { ports(from: 0) }
    /// `ip daddr . meta l4proto . th dport`
    var service: [Expression] { [destination(into: 0)] + ports(from: addressWords) }
    /// `ip saddr . ip daddr . meta l4proto . th dport`
    var fullTuple: [Expression] {
        [source(into: 0), destination(into: addressWords)] + ports(from: 2 * addressWords)
    }

    func verdict(in map: NamedSet) -> Expression { .verdict(of: Register(0), in: map.name) }

    /// `iifname "NAME"` or, with only the beginning of a name, `iifname "NAME*"`; or the opposite.
    func cameIn(by name: String, isPrefix: Bool, _ wanted: Bool) -> [Expression] {
        var bytes = Array(name.utf8.prefix(Self.nameLimit))
        // As the beginning of a name of full length is the whole name, and `nft` takes no star behind it.
        if !isPrefix || bytes.count == Self.nameLimit {
            bytes += repeatElement(0, count: Self.nameLimit + 1 - bytes.count)
        }
        return [.meta(.inputInterface, into: Register(0)), .compare(Register(0), wanted ? .equal : .notEqual, bytes)]
    }

    /// IFNAMSIZ without the zero at the end.
    static let nameLimit = 15

    /// `ip daddr != 127.0.0.0/8` or `ip6 daddr != ::1`
    var isNotLoopback: [Expression] {
        family == .ip6
            ? [destination(into: 0), .compare(Register(0), .notEqual, IPv6Address.loopback.bytes)]
            : [
                .payload(.network, offset: 16, length: 1, into: Register(0)),
                .compare(Register(0), .notEqual, [127]),
            ]
    }
}
