/// How many addresses a pool or block has, and what became of them.
public struct AddressCounts: Hashable, Sendable {
    public let total: UInt128
    /// Assigned, or cooling down after their release.
    public let inUse: UInt128
    /// Covered by a reservation, whether in use or not.
    public let reserved: UInt128
    /// Neither in use nor reserved.
    public let free: UInt128

    public init(total: UInt128, inUse: UInt128, reserved: UInt128, free: UInt128) {
        self.total = total
        self.inUse = inUse
        self.reserved = reserved
        self.free = free
    }

    /// The four cells of a table.
    var cells: [String] {
        let total = Double(self.total)
        return [AddressCount.text(total)]
            + [inUse, reserved, free].map { AddressCount.text(Double($0), of: total) }
    }
}

/// A whole number in JSON: as number up to 2^53, which every reader of JSON keeps exactly, and as decimal text beyond.
struct JSONCount: Encodable {
    let value: UInt128

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if value <= 1 << 53 {
            try container.encode(UInt64(value))
        } else {
            try container.encode("\(value)")
        }
    }
}
