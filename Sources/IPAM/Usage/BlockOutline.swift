import ClusterClient
import Glibc
import JSON
import KubernetesAPI
import NetworkTypes

/// As much of a block as counting needs. Reading it makes no string for each of its addresses, as reading a ``Block``
/// does, which matters with ten thousand of them.
struct BlockOutline {
    let cidr: CIDR
    let affinity: BlockOwner?
    /// For each ordinal whether it is assigned or cools down.
    let inUse: [Bool]

    init(_ block: Block) {
        cidr = block.cidr
        affinity = block.affinity
        inUse = block.allocations.map { $0 != nil }
    }

    /// What has cooled down is free (R9).
    init(_ record: Record, now: Timestamp, cooldown: Duration) throws(IPAMError) {
        do throws(JSONReader.Failure) {
            self = try JSONReader.read(record.value.span) { (reader) throws(JSONReader.Failure) in
                try BlockOutline(from: &reader)
            }
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
        guard record.key == .block(cidr) else { throw .inconsistent("\(record.key) holds block \(cidr)") }
        if Self.mayHaveCooldowns(record) { self.init(try Block(record, now: now, cooldown: cooldown)) }
    }

    private init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        var cidr: CIDR?
        var affinity: BlockOwner?
        var legacyAffinity: BlockOwner?
        var inUse: [Bool] = []
        inUse.reserveCapacity(64)
        try reader.object { (name, reader) throws(JSONReader.Failure) in
            switch name {
            case "cidr": cidr = try reader.blockCIDR()
            case "affinity": affinity = try reader.owner()
            case "hostAffinity": legacyAffinity = try reader.legacyOwner()
            case "allocations":
                try reader.optionalArray { (reader) throws(JSONReader.Failure) in
                    let isFree = reader.null()
                    if !isFree { _ = try reader.integer(Int.self) }
                    inUse.append(!isFree)
                }
            default: try reader.skip()
            }
        }
        guard let cidr else { throw reader.failure("the block has no cidr") }
        guard inUse.count == Block.size(of: cidr) else {
            throw reader.failure("the block has \(inUse.count) allocations for \(Block.size(of: cidr)) addresses")
        }
        self.cidr = cidr
        self.affinity = affinity ?? legacyAffinity
        self.inUse = inUse
    }

    /// Whether an address cools down, or has cooled down: few blocks have one, and only those are read as a whole.
    private static func mayHaveCooldowns(_ record: Record) -> Bool {
        let name = "releasedAt".utf8
        let capital = 8
        return record.value.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            // Its capital is rare in a block.
            var start = capital
            while start < bytes.count, let found = memchr(base + start, Int32(UInt8(ascii: "A")), bytes.count - start) {
                let place = UnsafeRawPointer(found) - base
                if bytes[(place - capital)...].starts(with: name) { return true }
                start = place + 1
            }
            return false
        }
    }
}
