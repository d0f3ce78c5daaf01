/// A token that may stand in a header.
struct BearerToken: Hashable, Sendable {
    private let text: String

    /// - Parameter bytes: blanks and newlines around the token do not count.
    /// - Returns: `nil` when what is left is empty, or not of visible ASCII characters.
    init?(_ bytes: some BidirectionalCollection<UInt8>) {
        let isBlank = { (byte: UInt8) in byte <= 0x20 }
        let rest = bytes.drop(while: isBlank)
        guard let end = rest.lastIndex(where: { !isBlank($0) }) else { return nil }
        let token = rest[...end]
        guard token.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        text = String(decoding: token, as: UTF8.self)
    }

    /// The value of the header Authorization.
    var header: String { "Bearer \(text)" }
}

extension BearerToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    var description: String { "token" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: ["": description]) }
}
