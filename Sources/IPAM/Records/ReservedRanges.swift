import NetworkTypes

/// The union of reserved prefixes: which addresses auto-assignment leaves out (1.5), and how many of a prefix they are.
public struct ReservedRanges: Hashable, Sendable {
    private struct Range: Hashable, Sendable {
        let first: UInt128
        var last: UInt128
    }

    /// Sorted, and neither overlapping nor touching.
    private let ipv4: [Range]
    private let ipv6: [Range]

    public static let none = ReservedRanges([])

    public init(_ prefixes: [CIDR]) {
        ipv4 = Self.union(prefixes.filter { $0.family == .ipv4 })
        ipv6 = Self.union(prefixes.filter { $0.family == .ipv6 })
    }

    private static func union(_ prefixes: [CIDR]) -> [Range] {
        var ranges: [Range] = []
        for prefix in prefixes.map(\.masked).sorted() {
            let range = Range(first: prefix.address.number, last: prefix.lastAddress.number)
            if let previous = ranges.last, range.first <= previous.last || range.first - previous.last == 1 {
                ranges[ranges.count - 1].last = max(previous.last, range.last)
            } else {
                ranges.append(range)
            }
        }
        return ranges
    }

    private func ranges(_ family: IPFamily) -> [Range] { family == .ipv4 ? ipv4 : ipv6 }

    public func contains(_ address: IPAddress) -> Bool {
        overlaps(address.hostPrefix).contains { _ in true }
    }

    /// Whether any address of the prefix is reserved.
    public func intersects(_ prefix: CIDR) -> Bool { !overlaps(prefix).isEmpty }

    /// Whether all of its addresses are.
    public func covers(_ prefix: CIDR) -> Bool {
        end(covering: prefix) != nil
    }

    /// The last address of the range that has all addresses of the prefix; `nil` when there is none.
    func end(covering prefix: CIDR) -> IPAddress? {
        overlaps(prefix).first { $0.first <= prefix.address.number && $0.last >= prefix.lastAddress.number }
            .map { IPAddress(number: $0.last, prefix.family) }
    }

    /// How many of its addresses are; all of IPv6 counts as one less than it has.
    public func count(in prefix: CIDR) -> UInt128 {
        overlaps(prefix).reduce(into: 0) { count, range in
            let first = max(range.first, prefix.address.number)
            let last = min(range.last, prefix.lastAddress.number)
            count += last - first == .max ? .max : last - first + 1
        }
    }

    /// The ranges that have an address of the prefix.
    private func overlaps(_ prefix: CIDR) -> ArraySlice<Range> {
        let ranges = ranges(prefix.family)
        guard !ranges.isEmpty else { return [] }
        let (first, last) = (prefix.address.number, prefix.lastAddress.number)
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].last < first { low = middle + 1 } else { high = middle }
        }
        return ranges[low...].prefix { $0.first <= last }
    }
}
