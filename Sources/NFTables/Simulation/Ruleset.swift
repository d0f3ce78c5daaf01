import NetworkTypes

/// A table as values, for a packet to be walked through: see ``PacketWalk``.
public struct Ruleset: Sendable {
    public let table: Table
    /// Base chains, in the order in which the kernel calls those of one hook.
    let bases: [Chain]
    /// With their texts, as a walk may be repeated for each of many backends.
    private var rules: [String: [(rule: Rule, text: String)]] = [:]
    private var sets: [String: Contents]

    private struct Contents: Sendable {
        let layout: SetLayout
        var elements: [Concatenation: Element] = [:]
        /// Of a set of ranges instead.
        var ranges: [Element] = []
    }

    /// Reads a table; one that does not exist has nothing in it.
    ///
    /// - Throws: ``NFTablesError``
    public init(_ table: Table, from kernel: some NFTablesKernel) throws {
        self.table = table
        let chains = try kernel.chains(of: table)
        bases = chains.filter { $0.base != nil }.sorted { ($0.base?.priority ?? 0) < ($1.base?.priority ?? 0) }
        sets = [:]
        for layout in try kernel.sets(of: table) {
            var contents = Contents(layout: layout)
            let elements = try kernel.elements(of: layout.name, in: table)
            if layout.isConcatenatedInterval {
                contents.ranges = elements
            } else if layout.isInterval {
                contents.ranges = Self.join(elements)
            } else {
                for element in elements { contents.elements[element.key] = element }
            }
            sets[layout.name] = contents
        }
        for rule in try kernel.rules(of: table).map(\.rule) {
            rules[rule.chain, default: []].append((rule, text(of: rule)))
        }
    }

    /// Puts an element into a set, in the place of one with the same key.
    public mutating func set(_ element: Element, in name: String) {
        sets[name]?.elements[element.key] = element
    }

    func rules(of chain: String) -> [(rule: Rule, text: String)] { rules[chain] ?? [] }

    func layout(of set: String) -> SetLayout? { sets[set]?.layout }

    /// What a set has for a key.
    public func element(_ key: Concatenation, in name: String) -> Element? {
        guard let set = sets[name] else { return nil }
        if !set.layout.isInterval { return set.elements[key] }
        let lengths = set.layout.isConcatenatedInterval ? set.layout.fieldLengths : [UInt8(set.layout.keyLength)]
        return set.ranges.first { key.isInside($0.key, $0.end ?? $0.key, lengths) }
    }

    /// One element for each range of a set of one field, where the kernel has one for the start and one behind the end.
    private static func join(_ elements: [Element]) -> [Element] {
        let points = elements.sorted { left, right in
            if left.key != right.key { return left.key.bytes.lexicographicallyPrecedes(right.key.bytes) }
            return left.isIntervalEnd && !right.isIntervalEnd
        }
        var ranges: [Element] = []
        for (index, point) in points.enumerated() where !point.isIntervalEnd {
            var range = point
            let next = index + 1 < points.count ? points[index + 1] : nil
            // Without an end it goes up to the last value.
            range.end = next.flatMap { $0.key.predecessor() } ?? point.key.filled()
            ranges.append(range)
        }
        return ranges
    }
}

extension Concatenation {
    /// Of one field: the value one lower; `nil` for zero.
    fileprivate func predecessor() -> Concatenation? {
        var bytes = bytes
        for index in bytes.indices.reversed() {
            let borrows = bytes[index] == 0
            bytes[index] &-= 1
            if !borrows { return bytes.withUnsafeBytes { Concatenation(bytes: $0) } }
        }
        return nil
    }

    /// Of one field: the highest value.
    fileprivate func filled() -> Concatenation {
        let bytes = [UInt8](repeating: 0xff, count: count)
        return bytes.withUnsafeBytes { Concatenation(bytes: $0) } ?? self
    }
}
