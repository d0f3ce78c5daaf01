import FoundationEssentials

// The bytes of the write-ahead journal. All integers are little-endian.
//
//   page 0, page 1   two header slots; the valid one with the higher generation counts
//   page 2 …         entries, each starting on a page of its own
//
// A checkpoint starts a new generation: its header goes into the slot that the current one does not use, and entries
// are written from page 2 again. Entries of older generations that are still there no longer count.

enum JournalFormat {
    /// Entries start at multiples of this, so that writing one never touches the sectors of another.
    static let page = 4096
    static let firstEntry = 2 * page
}

/// What a header slot says.
struct JournalHeader: Hashable {
    /// Counts checkpoints, from 1.
    let generation: UInt64
    /// The sequence number of the last commit before this generation.
    let base: UInt64

    /// The slot this header belongs in.
    var offset: Int { Int(generation % 2) * JournalFormat.page }

    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.bytes.append(contentsOf: Self.magic)
        writer.append(generation)
        writer.append(base)
        writer.append(writer.bytes.checksum)
        return writer.bytes
    }

    static let encodedLength = magic.count + 8 + 8 + 4

    /// `nil` when the bytes are no valid header.
    init?(_ bytes: ArraySlice<UInt8>) {
        var reader = ByteReader(bytes.prefix(Self.encodedLength))
        guard let magic = reader.take(Self.magic.count), magic.elementsEqual(Self.magic),
            let generation = reader.integer(UInt64.self),
            let base = reader.integer(UInt64.self),
            let checksum = reader.integer(UInt32.self),
            Array(bytes.prefix(Self.encodedLength - 4)).checksum == checksum
        else { return nil }
        self.init(generation: generation, base: base)
    }

    init(generation: UInt64, base: UInt64) {
        self.generation = generation
        self.base = base
    }

    private static let magic = Array("swiftlet journal 1\n".utf8)
}

/// One commit.
struct JournalEntry {
    enum Change {
        case put(RecordPath, Data)
        case remove(RecordPath)

        var path: RecordPath {
            switch self {
            case .put(let path, _), .remove(let path): path
            }
        }
    }

    let generation: UInt64
    /// Counts commits since the store was made; the revision of every record in this one.
    let sequence: UInt64
    let changes: [Change]

    /// The entry, filled up to whole pages.
    var encoded: [UInt8] {
        var body = ByteWriter()
        for change in changes {
            switch change {
            case .put(let path, let value):
                body.append(UInt8(1))
                body.append(path)
                body.append(UInt32(value.count))
                body.bytes.append(contentsOf: value)
            case .remove(let path):
                body.append(UInt8(2))
                body.append(path)
            }
        }
        var writer = ByteWriter()
        writer.bytes.append(contentsOf: Self.magic)
        writer.append(generation)
        writer.append(sequence)
        writer.append(UInt32(body.bytes.count))
        writer.append((writer.bytes + body.bytes).checksum)
        writer.bytes.append(contentsOf: body.bytes)
        let padding = Self.pages(writer.bytes.count) * JournalFormat.page - writer.bytes.count
        writer.bytes.append(contentsOf: repeatElement(0, count: padding))
        return writer.bytes
    }

    /// What the first bytes of an entry promise.
    struct Head {
        let generation: UInt64
        let sequence: UInt64
        let bodyLength: Int

        static let encodedLength = JournalEntry.magic.count + 8 + 8 + 4 + 4

        /// How many bytes the entry takes in the journal.
        var length: Int { JournalEntry.pages(Self.encodedLength + bodyLength) * JournalFormat.page }

        /// `nil` when no entry starts with these bytes.
        init?(_ bytes: ArraySlice<UInt8>) {
            var reader = ByteReader(bytes)
            guard let magic = reader.take(JournalEntry.magic.count), magic.elementsEqual(JournalEntry.magic),
                let generation = reader.integer(UInt64.self),
                let sequence = reader.integer(UInt64.self),
                let length = reader.integer(UInt32.self)
            else { return nil }
            self.generation = generation
            self.sequence = sequence
            bodyLength = Int(length)
        }
    }

    init(generation: UInt64, sequence: UInt64, changes: [Change]) {
        self.generation = generation
        self.sequence = sequence
        self.changes = changes
    }

    /// `nil` when the bytes do not start with a whole, unharmed entry.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard let head = Head(bytes), bytes.count >= Head.encodedLength + head.bodyLength else { return nil }
        let start = bytes.startIndex + Head.encodedLength
        let body = bytes[start..<start + head.bodyLength]
        var stored = ByteReader(bytes[(start - 4)..<start])
        guard stored.integer(UInt32.self) == (Array(bytes[..<(start - 4)]) + body).checksum else { return nil }
        var changes: [Change] = []
        var reader = ByteReader(body)
        while !reader.isAtEnd {
            switch reader.integer(UInt8.self) {
            case 1:
                guard let path = reader.path(), let length = reader.integer(UInt32.self),
                    let value = reader.take(Int(length))
                else { return nil }
                changes.append(.put(path, Data(value)))
            case 2:
                guard let path = reader.path() else { return nil }
                changes.append(.remove(path))
            default:
                return nil
            }
        }
        self.init(generation: head.generation, sequence: head.sequence, changes: changes)
    }

    private static func pages(_ length: Int) -> Int { (length + JournalFormat.page - 1) / JournalFormat.page }

    /// Starts with a byte that no JSON text contains.
    private static let magic: [UInt8] = [0xff] + Array("commit\n".utf8)
}

/// What the lock file says about the journal: up to where its entries have been applied to the record files.
///
/// The note is never synced and holds only until the machine stops, as the record files are not synced either: after a
/// power loss everything since the last checkpoint is applied again.
struct AppliedNote {
    let bootID: String
    let generation: UInt64
    /// Where the next entry goes.
    let tail: UInt64
    /// The sequence number of the last commit.
    let sequence: UInt64
    /// How many files there are that a new record can have; see ``SpareFiles``.
    let spareFiles: Int

    var encoded: [UInt8] {
        let place = "generation=\(generation) tail=\(tail) sequence=\(sequence)"
        let text = "applied boot=\(bootID) \(place) spare=\(spareFiles)"
        return Array("\(text) crc32c=\(String(Array(text.utf8).checksum, radix: 16))\n".utf8)
    }

    /// `nil` when the text is no unharmed note.
    init?(_ text: [UInt8]) {
        guard let end = text.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = String(decoding: text[..<end], as: UTF8.self)
        let words = line.split(separator: " ")
        func field(_ index: Int, _ name: String) -> Substring? {
            index < words.count && words[index].hasPrefix(name) ? words[index].dropFirst(name.utf8.count) : nil
        }
        guard words.count == 7, words[0] == "applied",
            let bootID = field(1, "boot="),
            let generation = field(2, "generation=").flatMap({ UInt64($0) }),
            let tail = field(3, "tail=").flatMap({ UInt64($0) }),
            let sequence = field(4, "sequence=").flatMap({ UInt64($0) }),
            let spareFiles = field(5, "spare=").flatMap({ Int($0) })
        else { return nil }
        self.init(
            bootID: String(bootID),
            generation: generation,
            tail: tail,
            sequence: sequence,
            spareFiles: spareFiles
        )
        guard encoded.elementsEqual(text[...end]) else { return nil }
    }

    init(bootID: String, generation: UInt64, tail: UInt64, sequence: UInt64, spareFiles: Int) {
        self.bootID = bootID
        self.generation = generation
        self.tail = tail
        self.sequence = sequence
        self.spareFiles = spareFiles
    }
}

private struct ByteWriter {
    var bytes: [UInt8] = []

    mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ path: RecordPath) {
        let text = Array(path.description.utf8)
        append(UInt16(text.count))
        bytes.append(contentsOf: text)
    }
}

private struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer? {
        take(Integer.bitWidth / 8).map { bytes in
            bytes.reversed().reduce(0) { $0 << 8 | Integer(truncatingIfNeeded: $1) }
        }
    }

    /// A path whose parts are such as ``RecordPath/escape(_:)`` makes.
    mutating func path() -> RecordPath? {
        guard let length = integer(UInt16.self), let text = take(Int(length)) else { return nil }
        var parts = String(decoding: text, as: UTF8.self).split(separator: "/").map(String.init)
        guard parts.allSatisfy({ RecordPath.unescape($0) != nil }), let name = parts.popLast() else { return nil }
        return RecordPath(directory: parts, name: name)
    }
}

extension [UInt8] {
    fileprivate var checksum: UInt32 {
        var checksum = Checksum()
        checksum.update(self)
        return checksum.value
    }
}
