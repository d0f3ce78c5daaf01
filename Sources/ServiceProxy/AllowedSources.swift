import NetworkTypes

/// Who may connect to the load-balancer IPs of a Service (2.4).
struct AllowedSources: Hashable {
    /// Sorted, no range inside of another (FW-6); `nil` when everyone may (FW-1).
    let ranges: [CIDR]?
    /// Entries that are no CIDRs, as written.
    let unreadable: [String]

    init(of texts: [String], in family: IPFamily, loadBalancerIPs: [IPAddress], node: NodeFacts) {
        var ranges: [CIDR] = []
        var unreadable: [String] = []
        for text in texts {
            let trimmed = text.drop(while: \.isWhitespace)
            let end = trimmed.lastIndex { !$0.isWhitespace }
            if let end, let range = CIDR(String(trimmed[...end])) {
                if range.family == family { ranges.append(range.masked) }
            } else {
                unreadable.append(text)
            }
        }
        self.unreadable = unreadable
        guard !ranges.isEmpty, !ranges.contains(where: { $0.prefixLength == 0 }) else {
            self.ranges = nil
            return
        }
        if let address = node.addresses[family], ranges.contains(where: { $0.contains(address) }) {
            // FW-3: the node dials a load-balancer IP that is bound to it from that address.
            ranges += loadBalancerIPs.map(\.hostPrefix)
        }
        self.ranges = Self.withoutNested(ranges)
    }

    /// Two prefixes are disjoint or nested, so that in sorted order a nested one follows what holds it.
    private static func withoutNested(_ ranges: [CIDR]) -> [CIDR] {
        ranges.sorted().reduce(into: []) { kept, range in
            if let last = kept.last, last.contains(range) { return }
            kept.append(range)
        }
    }
}
