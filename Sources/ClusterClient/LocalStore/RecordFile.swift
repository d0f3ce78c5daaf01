import FoundationEssentials

/// The text of a record's file: one line that says what must follow, then the JSON.
///
/// ```
/// swiftlet-record revision=57 length=1234 crc32c=89abcdef
/// {"cidr":"10.80.0.0/26", …}
/// ```
///
/// The checksum covers the file's path, the revision and the JSON, so that a record copied to another's place is
/// noticed like one that was changed or cut short (L3).
struct RecordFile {
    let revision: UInt64
    let value: Data

    init(revision: UInt64, value: Data) {
        self.revision = revision
        self.value = value
    }

    func encoded(for path: RecordPath) -> [UInt8] {
        let digits = String(Self.checksum(path, revision, value), radix: 16)
        let checksum = String(repeating: "0", count: 8 - digits.count) + digits
        var text = Array("\(Self.magic) revision=\(revision) length=\(value.count) crc32c=\(checksum)\n".utf8)
        text += value
        return text
    }

    /// `nil` when the text is not exactly what ``encoded(for:)`` makes.
    init?(_ text: [UInt8], at path: RecordPath) {
        guard let end = text.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let words = text[..<end].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 4, words[0].elementsEqual(Self.magic.utf8),
            let revision = Self.field(words[1], "revision=", radix: 10),
            let length = Self.field(words[2], "length=", radix: 10),
            let checksum = Self.field(words[3], "crc32c=", radix: 16)
        else { return nil }
        let value = text[(end + 1)...]
        guard value.count == length else { return nil }
        self.revision = revision
        self.value = Data(value)
        guard Self.checksum(path, revision, self.value) == checksum else { return nil }
    }

    private static let magic = "swiftlet-record"

    private static func field(_ word: ArraySlice<UInt8>, _ name: String, radix: Int) -> UInt64? {
        guard word.starts(with: name.utf8) else { return nil }
        return UInt64(String(decoding: word.dropFirst(name.utf8.count), as: UTF8.self), radix: radix)
    }

    private static func checksum(_ path: RecordPath, _ revision: UInt64, _ value: Data) -> UInt32 {
        var checksum = Checksum()
        checksum.update("\(path.description)\n\(revision)\n".utf8)
        checksum.update(value)
        return checksum.value
    }
}
