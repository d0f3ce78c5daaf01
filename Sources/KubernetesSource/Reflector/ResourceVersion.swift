/// The order of resourceVersions: since KEP-5504 they are decimal numbers that grow with each write to a resource. One
/// that is none can only be compared for equality.
enum ResourceVersion {
    /// Whether a version is certainly older than another.
    static func isOlder(_ left: String, than right: String) -> Bool {
        guard left != right, isNumber(left), isNumber(right) else { return false }
        let (leftLength, rightLength) = (left.utf8.count, right.utf8.count)
        return leftLength == rightLength ? left < right : leftLength < rightLength
    }

    private static func isNumber(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "0") || text.utf8.count == 1 else { return false }
        return text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}
