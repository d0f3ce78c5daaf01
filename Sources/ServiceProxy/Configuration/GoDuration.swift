/// Durations as Go writes them: `1h0m5s`, `1.5s`, `100ms`.
enum GoDuration {
    private static let units: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]

    /// `nil` for what is none, and for what 64 bits of nanoseconds do not hold (292 years).
    static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if let sign = rest.first, sign == "-" || sign == "+" { rest.removeFirst() }
        guard rest != "0" else { return .zero }
        guard !rest.isEmpty else { return nil }
        var total = Duration.zero
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest.removeFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest.removeFirst(unit.count)
            let parts = number.split(separator: ".", omittingEmptySubsequences: false)
            guard let scale = units.first(where: { $0.name == unit })?.nanoseconds, parts.count <= 2,
                parts.contains(where: { !$0.isEmpty }), let whole = parts[0].isEmpty ? 0 : Int64(parts[0])
            else { return nil }
            var fraction = 0.0
            if parts.count == 2, !parts[1].isEmpty {
                guard let digits = Double("0.\(parts[1])") else { return nil }
                fraction = digits
            }
            let (product, overflows) = whole.multipliedReportingOverflow(by: Int64(scale))
            guard !overflows else { return nil }
            total += .nanoseconds(product) + .nanoseconds(Int64((fraction * scale).rounded()))
            guard total <= .nanoseconds(Int64.max) else { return nil }
        }
        return isNegative ? .zero - total : total
    }

    /// `0s`, `30s`, `15m0s`, `1h0m5s`, `100ms`, `1.5s`.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let nanoseconds =
            seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue + attoseconds / 1_000_000_000
        guard nanoseconds != 0 else { return "0s" }
        let sign = nanoseconds < 0 ? "-" : ""
        let size = nanoseconds.magnitude
        switch size {
        case ..<1_000: return "\(sign)\(size)ns"
        case ..<1_000_000: return sign + decimal(size, 1_000) + "µs"
        case ..<1_000_000_000: return sign + decimal(size, 1_000_000) + "ms"
        default:
            let minutes = size / 60_000_000_000
            var text = sign
            if minutes >= 60 { text += "\(minutes / 60)h" }
            if minutes > 0 { text += "\(minutes % 60)m" }
            return text + decimal(size % 60_000_000_000, 1_000_000_000) + "s"
        }
    }

    private static func decimal(_ value: UInt64, _ unit: UInt64) -> String {
        let (whole, rest) = value.quotientAndRemainder(dividingBy: unit)
        guard rest != 0 else { return "\(whole)" }
        var digits = String(String(unit + rest).dropFirst())
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)"
    }
}
