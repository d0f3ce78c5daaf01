import CNetfilter

/// A set as the kernel describes it: enough to tell whether it is the one we would make.
public struct SetLayout: Hashable, Sendable {
    public let name: String
    /// NFT_SET_*
    public let flags: UInt32
    public let keyType: UInt32
    public let keyLength: UInt32
    public let dataType: UInt32?
    public let dataLength: UInt32?
    /// In milliseconds.
    public let timeout: UInt64?
    public let size: UInt32?
    /// Whether each element counts the packets that found it.
    public let countsPackets: Bool
    /// The lengths of the fields of a concatenation of ranges.
    public let fieldLengths: [UInt8]
    /// What `nft` reads to print the set: byte order, `typeof`, comment.
    public let userData: [UInt8]

    public var isMap: Bool { flags & NFT_SET_MAP.rawValue != 0 }
    /// Whether the set belongs to one rule (`{ tcp, udp }`) and has no name of its own.
    public var isAnonymous: Bool { flags & NFT_SET_ANONYMOUS.rawValue != 0 }
    var isInterval: Bool { flags & NFT_SET_INTERVAL.rawValue != 0 }
    var isConcatenatedInterval: Bool { flags & NFT_SET_CONCAT.rawValue != 0 }
    var isVerdictMap: Bool { dataType == 0xffff_ff00 }
}
