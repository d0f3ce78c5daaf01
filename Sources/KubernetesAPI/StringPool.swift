import Synchronization

/// Equal strings share one storage: node names, zones, namespaces and port names repeat in a hundred thousand
/// endpoints.
///
/// Give one to a decoder under ``StringPool/key``; without it, every string has storage of its own.
public final class StringPool: Sendable {
    /// The key in a decoder's `userInfo`.
    public static let key = CodingUserInfoKey(rawValue: "StringPool")

    /// Past this many different strings the pool starts afresh, so that churning names do not pile up in it.
    private static let capacity = 65536
    private let strings = Mutex<Set<String>>([])

    public init() {}

    /// The string of the pool that equals this one.
    public func shared(_ text: String) -> String {
        // Up to 15 bytes are held inside of the value itself.
        guard text.utf8.count > 15 else { return text }
        return strings.withLock { strings in
            if let known = strings.first(equalTo: text) { return known }
            if strings.count >= Self.capacity { strings.removeAll() }
            strings.insert(text)
            return text
        }
    }
}

extension Set<String> {
    fileprivate func first(equalTo text: String) -> String? {
        firstIndex(of: text).map { self[$0] }
    }
}

extension Decoder {
    var stringPool: StringPool? {
        StringPool.key.flatMap { userInfo[$0] as? StringPool }
    }
}
