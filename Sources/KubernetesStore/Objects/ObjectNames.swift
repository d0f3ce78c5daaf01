import ClusterClient
import Digests
import NetworkTypes

/// The names of the objects that records become (2.10).
enum ObjectNames {
    private static let longestName = 253

    /// `10-65-79-0-26`, `fd00---122`.
    static func block(_ cidr: CIDR) -> String {
        String(decoding: cidr.description.utf8.map { ".:/".utf8.contains($0) ? UInt8(ascii: "-") : $0 }, as: UTF8.self)
    }

    /// The block that an object's name is of, or `nil` for another name.
    static func block(named name: String) -> CIDR? {
        guard let dash = name.utf8.lastIndex(of: UInt8(ascii: "-")) else { return nil }
        let length = name[name.utf8.index(after: dash)...]
        for separator: Character in [".", ":"] {
            let address = String(name[..<dash].map { $0 == "-" ? separator : $0 })
            if let cidr = CIDR("\(address)/\(length)"), block(cidr) == name { return cidr }
        }
        return nil
    }

    /// `NODE-10-65-79-0-26`; of a node's name that is too long a part and a hash of the whole.
    ///
    /// A node's name that no Kubernetes node can have is escaped as a handle is.
    static func affinity(_ owner: BlockOwner, _ cidr: CIDR) -> String {
        let (host, cidr) = (name(of: owner), block(cidr))
        guard isName(host) || (host.utf8.count > longestName && isName(String(host.prefix(longestName)))) else {
            return escaped("\(host)-\(cidr)", hashing: "\(owner)+\(cidr)")
        }
        let whole = "\(host)-\(cidr)"
        guard whole.utf8.count >= longestName else { return whole }
        let digest = SHA256.digest(of: "\(host)+\(cidr)".utf8).hexadecimal.prefix(11)
        return "\(host.prefix(longestName - 1 - cidr.utf8.count - 13))-\(cidr)-\(digest)"
    }

    static func name(of owner: BlockOwner) -> String {
        switch owner {
        case .host(let name), .virtual(let name): name
        }
    }

    /// Where a handle may be, best first (H2).
    ///
    /// Calico names the object by the handle in lower case. That is the place of handles that are such names. A handle
    /// with capitals would share it with another, and one with `_` can have no object of its name; those get a name with
    /// a hash, and are looked for under Calico's name as well.
    static func handle(_ id: String) -> [String] {
        let lowered = id.lowercased()
        let hashed = escaped(lowered, hashing: id)
        if lowered == id, isName(id) { return [id, hashed] }
        return isName(lowered) ? [hashed, lowered] : [hashed]
    }

    /// As much of the text as a name can have, for people, and a hash for programs.
    private static func escaped(_ text: String, hashing whole: String) -> String {
        var kept: [UInt8] = []
        for byte in text.lowercased().utf8.prefix(longestName - 41) {
            let isPlain = isAlphanumeric(byte)
            // Neither at the start nor after another: labels between dots must begin and end with letters or digits.
            if isPlain { kept.append(byte) } else if kept.last != UInt8(ascii: "-"), !kept.isEmpty { kept.append(0x2d) }
        }
        if kept.last == UInt8(ascii: "-") { kept.removeLast() }
        let digest = SHA256.digest(of: whole.utf8).hexadecimal.prefix(32)
        return kept.isEmpty ? "x-\(digest)" : "\(String(decoding: kept, as: UTF8.self))-x-\(digest)"
    }

    /// Whether the text is a DNS subdomain (RFC 1123), which names of objects have to be.
    static func isName(_ text: String) -> Bool {
        guard (1...longestName).contains(text.utf8.count) else { return false }
        return text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.first, let last = label.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}

/// The labels of a BlockAffinity, by which a host lists its own (K1).
enum AffinityLabels {
    static func labels(_ owner: BlockOwner, _ family: IPFamily) -> [(String, String)] {
        [
            ("projectcalico.org/affinity-type", type(of: owner)),
            ("projectcalico.org/hostname-hash", SHA3.digest256(of: ObjectNames.name(of: owner).utf8).base32),
            ("projectcalico.org/ip-version", family == .ipv4 ? "4" : "6"),
        ]
    }

    /// A label selector for what ``labels(_:_:)`` gives.
    static func selector(_ owner: BlockOwner, _ family: IPFamily) -> String {
        labels(owner, family).map { "\($0)=\($1)" }.joined(separator: ",")
    }

    static func type(of owner: BlockOwner) -> String {
        switch owner {
        case .host: "host"
        case .virtual: "virtual"
        }
    }
}
