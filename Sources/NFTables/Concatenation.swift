import NetworkTypes

/// The value of a key or of a map's data: fields one after the other, each padded to four bytes, as registers hold them.
///
/// Held inline, so that building and comparing one allocates nothing.
public struct Concatenation: Hashable, Sendable {
    /// The registers end here (NFT_DATA_VALUE_MAXLEN).
    public static let maximumLength = 64

    private var words: InlineArray<8, UInt64> = InlineArray(repeating: 0)
    /// In bytes, a multiple of four.
    public private(set) var count = 0

    public init() {}

    /// Takes the bytes as they are, padded to four; `nil` when there are more than ``maximumLength``.
    public init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.maximumLength else { return nil }
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: bytes) }
        count = (bytes.count + 3) & ~3
    }

    /// Appends a number in network byte order.
    public mutating func append(_ number: some FixedWidthInteger) {
        let size = number.bitWidth / 8
        precondition(count + size <= Self.maximumLength, "a concatenation has at most 64 bytes")
        withUnsafeMutableBytes(of: &words) { bytes in
            withUnsafeBytes(of: number.bigEndian) { value in
                UnsafeMutableRawBufferPointer(rebasing: bytes[count..<(count + size)]).copyMemory(from: value)
            }
        }
        count += (size + 3) & ~3
    }

    /// Appends a number in the byte order of this machine, as `meta mark` and `numgen` produce it.
    public mutating func append(hostOrder number: UInt32) {
        append(number.bigEndian)
    }

    public mutating func append(_ address: IPAddress) {
        switch address {
        case .v4(let address): append(address.bits)
        case .v6(let address):
            append(address.high)
            append(address.low)
        }
    }

    public mutating func append(_ transport: TransportProtocol) {
        append(transport.rawValue)
    }

    /// Calls `body` with the bytes; a key of one field is shorter than its padding.
    func withBytes<Result>(length: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(of: words) { try body(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
    }

    /// Calls `body` with all bytes, padding included.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withBytes(length: count, body)
    }

    public var bytes: [UInt8] { withBytes(length: count) { Array($0) } }

    /// The number one higher, for the exclusive end of an interval; `nil` when all bits of `length` bytes are set.
    func successor(length: Int) -> Concatenation? {
        var next = self
        let carried = withUnsafeMutableBytes(of: &next.words) { bytes in
            for index in (0..<length).reversed() {
                bytes[index] &+= 1
                if bytes[index] != 0 { return false }
            }
            return true
        }
        return carried ? nil : next
    }

    public static func == (left: Concatenation, right: Concatenation) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<((left.count + 7) / 8) where left.words[index] != right.words[index] { return false }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        for index in 0..<((count + 7) / 8) { hasher.combine(words[index]) }
    }
}

extension Concatenation {
    /// The text as `nft` would write it: `10.96.0.10 . tcp . 80`.
    func text(as fields: [Field]) -> String {
        var rest = bytes[...]
        return fields.map { field in
            let value = Array(rest.prefix(field.length))
            rest = rest.dropFirst(field.paddedLength)
            switch field.format {
            case .address: return IPAddress(bytes: value)?.description ?? "?"
            case .transport:
                return value.first.flatMap(TransportProtocol.init(rawValue:))?.description.lowercased()
                    ?? String(value.first ?? 0)
            case .number: return String(value.reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
            case .hostNumber: return String(value.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
            case .classID: return Self.classID(value.reversed().reduce(0 as UInt32) { $0 << 8 | UInt32($1) })
            case .name: return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
            }
        }.joined(separator: " . ")
    }

    /// TC_H_UNSPEC, TC_H_ROOT or the two halves.
    static func classID(_ number: UInt32) -> String {
        switch number {
        case 0: "none"
        case .max: "root"
        default: "\(String(number >> 16, radix: 16)):\(String(number & 0xffff, radix: 16))"
        }
    }
}

extension Concatenation {
    /// Whether a point is inside of a range in every field.
    func isInside(_ start: Concatenation, _ end: Concatenation, _ lengths: [UInt8]) -> Bool {
        let (point, start, end) = (bytes, start.bytes, end.bytes)
        var offset = 0
        for length in lengths.map(Int.init) {
            let range = offset..<(offset + length)
            if point[range].lexicographicallyPrecedes(start[range])
                || end[range].lexicographicallyPrecedes(point[range])
            {
                return false
            }
            offset += (length + 3) & ~3
        }
        return true
    }
}
