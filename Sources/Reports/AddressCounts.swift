import Glibc
import IPAM
import JSON

extension AddressCounts {
    /// The four cells of a table: total, in use, reserved, free.
    func cells(_ form: TableForm) -> [String] {
        guard form != .csv else { return [total, inUse, reserved, free].map { "\($0)" } }
        return [Self.text(Double(total))] + [inUse, reserved, free].map { Self.text(Double($0), of: Double(total)) }
    }

    /// The same as members of an object.
    var members: [(String, JSONValue)] {
        [
            ("ipsTotal", .count(total)), ("ipsInUse", .count(inUse)), ("ipsReserved", .count(reserved)),
            ("ipsFree", .count(free)),
        ]
    }

    /// Five significant digits, as `%.5g` of C: `65536`, `1.3107e+05`, `1.2089e+24`.
    static func text(_ count: Double) -> String {
        var buffer = [CChar](repeating: 0, count: 32)
        let length = withVaList([count]) { vsnprintf(&buffer, buffer.count, "%.5g", $0) }
        return String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A number and its share of a total, as `11 (34%)`; the percentage is rounded half to even.
    static func text(_ count: Double, of total: Double) -> String {
        let percentage = total > 0 ? (100 * count / total).rounded(.toNearestOrEven) : 0
        return "\(text(count)) (\(Int(percentage))%)"
    }
}
