/// Where the local store keeps a record, below its `records` directory: Calico's etcd key (2.9), each part escaped so
/// that it is one plain file name whatever it was made from (L5).
struct RecordPath: Hashable, Sendable {
    /// The escaped directories between `records` and the file.
    let directory: [String]
    /// The escaped file name.
    let name: String

    init(directory: [String], name: String) {
        self.directory = directory
        self.name = name
    }

    /// Throws ``DatastoreError/Reason/invalidKey`` for an empty part, or one too long for a file name.
    init(_ key: RecordKey) throws(DatastoreError) {
        var parts = try Self.names(of: key.calicoPath, key)
        name = parts.removeLast()
        directory = parts
    }

    /// The directory that holds the records of a collection.
    static func directory(of collection: RecordCollection) throws(DatastoreError) -> [String] {
        try names(of: collection.calicoPath, nil)
    }

    private static func names(of path: [String], _ key: RecordKey?) throws(DatastoreError) -> [String] {
        var names: [String] = []
        for part in path {
            let name = escape(part)
            guard !name.isEmpty, name.utf8.count <= longestName else {
                throw DatastoreError(
                    .invalidKey,
                    key,
                    name.isEmpty
                        ? "a name in the key is empty"
                        : "a name in the key is longer than the \(longestName) bytes that a file name may have"
                )
            }
            names.append(name)
        }
        return names
    }

    /// The key of the file, or `nil` when no record is kept under that name.
    var key: RecordKey? {
        var parts: [String] = []
        for text in directory + [name] {
            guard let part = Self.unescape(text) else { return nil }
            parts.append(part)
        }
        return RecordKey(calicoPath: parts)
    }

    var description: String { Self.join(directory + [name]) }

    /// What `joined(separator: "/")` gives, for which Swift would look through all types of the program once.
    static func join(_ parts: [String]) -> String {
        var path = ""
        for part in parts { path += path.isEmpty ? part : "/" + part }
        return path
    }

    /// NAME_MAX of linux/limits.h.
    static let longestName = 255

    /// Letters, digits, `_`, `-`, `:` and `.` stay, except for a leading `.`; every other byte becomes `%` and two
    /// upper-case hexadecimal digits.
    static func escape(_ part: String) -> String {
        var text: [UInt8] = []
        for byte in part.utf8 {
            let plain = isPlain(byte, isFirst: text.isEmpty)
            if plain {
                text.append(byte)
            } else {
                text += [UInt8(ascii: "%"), hexDigits[Int(byte >> 4)], hexDigits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8, isFirst: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ":"):
            true
        case UInt8(ascii: "."):
            !isFirst
        default:
            false
        }
    }

    /// The part that ``escape(_:)`` turns into this name, or `nil` when there is none.
    static func unescape(_ name: String) -> String? {
        // Nearly all names are of this kind, and there are many of them to read.
        var isFirst = true
        let isItsOwn = name.utf8.allSatisfy { byte in
            defer { isFirst = false }
            return isPlain(byte, isFirst: isFirst)
        }
        if isItsOwn { return name }
        var bytes: [UInt8] = []
        var rest = name.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigits.firstIndex(of:)),
                let low = rest.popFirst().flatMap(hexDigits.firstIndex(of:))
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        guard let part = String(validating: bytes, as: UTF8.self), escape(part) == name else { return nil }
        return part
    }

    private static let hexDigits = Array("0123456789ABCDEF".utf8)
}
