/// Finds where the events of a watch stream begin and end, whatever pieces it comes in.
///
/// In protobuf, four octets before each event tell its length. In JSON, events are objects one after the other; a line
/// break between them is usual and not needed.
struct WatchFrames {
    private let encoding: WireEncoding
    private let limit: Int
    private(set) var bytes: [UInt8] = []
    /// Where the frame that comes next begins.
    private var start = 0
    /// How far the text of that frame was looked at.
    private var scanned = 0
    private var depth = 0
    private var isInString = false
    private var isEscaped = false

    init(_ encoding: WireEncoding, limit: Int) {
        self.encoding = encoding
        self.limit = limit
    }

    var pending: Int { bytes.count - start }

    mutating func append(_ more: Span<UInt8>) {
        // What is done with is dropped once it is the larger part, so that each octet is moved once or less.
        if start > bytes.count / 2 {
            bytes.removeSubrange(..<start)
            scanned -= start
            start = 0
        }
        more.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    /// Frees everything; for a stream that is of no more use.
    mutating func discard() {
        bytes = []
        (start, scanned) = (0, 0)
    }

    /// Where the next whole frame is, without what is around it; `nil` until it is there.
    mutating func next() throws(WireError) -> Range<Int>? {
        let frame =
            switch encoding {
            case .protobuf: try nextOfProtobuf()
            case .json: try nextOfJSON()
            }
        if let frame { (start, scanned) = (frame.upperBound, frame.upperBound) }
        return frame
    }

    private func nextOfProtobuf() throws(WireError) -> Range<Int>? {
        guard bytes.count - start >= 4 else { return nil }
        let length = bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        try check(length)
        let content = start + 4
        return bytes.count - content >= length ? content..<content + length : nil
    }

    private mutating func nextOfJSON() throws(WireError) -> Range<Int>? {
        if depth == 0 {
            start = bytes[start...].firstIndex { !Self.isSpace($0) } ?? bytes.count
            guard start < bytes.count else {
                scanned = start
                return nil
            }
            guard bytes[start] == UInt8(ascii: "{") else {
                throw WireError(.malformed, "not a watch stream: expected an object, found \"\(character(start))\"")
            }
            scanned = start
        }
        // The end is looked for no further than an event may reach.
        let end = min(bytes.count, start + limit)
        let found = bytes.withUnsafeBufferPointer { scan($0, to: end) }
        if !found { try check(pending) }
        return found ? start..<scanned : nil
    }

    /// Goes on until the object ends, or the text that is to be looked at.
    private mutating func scan(_ text: UnsafeBufferPointer<UInt8>, to end: Int) -> Bool {
        var position = scanned
        defer { scanned = position }
        while position < end {
            let byte = text[position]
            position += 1
            if isEscaped {
                isEscaped = false
            } else if isInString {
                if byte == UInt8(ascii: "\\") { isEscaped = true }
                if byte == UInt8(ascii: "\"") { isInString = false }
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    if depth == 0 { return true }
                default: break
                }
            }
        }
        return false
    }

    private func check(_ length: Int) throws(WireError) {
        guard length <= limit else {
            throw WireError(
                .tooLarge,
                encoding == .json
                    ? "an event of the watch is larger than \(limit) bytes"
                    : "an event of the watch has \(length) bytes, more than \(limit)"
            )
        }
    }

    private func character(_ index: Int) -> Unicode.Scalar {
        (0x20..<0x7f).contains(bytes[index]) ? Unicode.Scalar(bytes[index]) : "?"
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\n") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\r")
            || byte == UInt8(ascii: "\t")
    }
}
