import CNetfilter

/// The bytes that `nft` attaches to objects for its own use: comments and the expressions of `typeof`.
///
/// A sequence of type, length, value with one byte each for type and length (libnftnl/udata.h). Numbers are in host
/// byte order. The kernel carries them and never looks inside.
struct UserData: Hashable, Sendable {
    var bytes: [UInt8] = []

    /// The longest comment in UTF-8 bytes, with its final zero byte (NFTNL_UDATA_COMMENT_MAXLEN).
    static let maximumComment = 128

    mutating func put(_ type: UInt8, _ value: [UInt8]) {
        // A value of more than 255 bytes cannot be written; leaving it out only costs readability.
        guard let length = UInt8(exactly: value.count) else { return }
        bytes.append(type)
        bytes.append(length)
        bytes += value
    }

    mutating func put(_ type: UInt8, _ value: UInt32) {
        put(type, withUnsafeBytes(of: value) { Array($0) })
    }

    mutating func putComment(_ type: UInt8, _ comment: String?) {
        guard let comment else { return }
        put(type, Self.commentBytes(comment))
    }

    /// The comment as a C string, cut at a character so that it fits; a zero byte inside would hide the rest.
    static func commentBytes(_ comment: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for character in comment.utf8.count < maximumComment ? comment : cut(comment) where character != "\0" {
            bytes += character.utf8
        }
        bytes.append(0)
        return bytes
    }

    /// The comment as it will be read back: whole characters, at most 127 bytes, the end marked by `…` when cut.
    static func cut(_ comment: String) -> String {
        guard comment.utf8.count >= maximumComment else { return comment }
        let room = maximumComment - 1 - "…".utf8.count
        var length = 0
        var text = ""
        for character in comment {
            length += character.utf8.count
            if length > room { break }
            text.append(character)
        }
        return text + "…"
    }

    /// The comment stored under a type, if there is one.
    static func comment(_ type: UInt8, in bytes: UnsafeRawBufferPointer) -> String? {
        var rest = bytes[...]
        while rest.count >= 2 {
            let found = rest[rest.startIndex]
            let length = Int(rest[rest.startIndex + 1])
            guard rest.count >= 2 + length else { return nil }
            if found == type {
                let value = rest.dropFirst(2).prefix(length)
                return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
            }
            rest = rest.dropFirst(2 + length)
        }
        return nil
    }
}
