import JSON

/// Turns YAML documents into JSON texts, as kubectl does before it decodes, so that there is one decoder for both.
///
/// Plain scalars get the types of YAML 1.1 (`yes` is true). Aliases and merge keys (`<<`) are expanded, up to a limit.
public struct YAMLConverter {
    /// Levels of mappings and sequences inside of each other that a document may have.
    public static let nestingLimit = 100

    private struct Frame {
        let isMapping: Bool
        let anchor: String?
        /// Where the text of the container starts in the output.
        let start: Int
        var hasElements = false
        /// The key whose value comes next; `nil` when a key comes next, or in a sequence.
        var key: String?
        var keys: Set<String> = []
        /// Where the text of each value is.
        var members: [(key: String, value: Range<Int>)] = []
        var merge = Merge.no
        var merged: [(key: String, value: Range<Int>)] = []
    }

    /// What comes next in a mapping after the key `<<`.
    private enum Merge { case no, one, list }

    /// Where in the output an anchored value stands; the output only grows, so that nothing need be copied for it.
    private struct Anchored {
        let text: Range<Int>
        /// Of a mapping; `nil` for anything else.
        let members: [(key: String, value: Range<Int>)]?
    }

    private var output: [UInt8] = []
    private var frames: [Frame] = []
    private var anchors: [String: Anchored] = [:]
    /// What aliases may still add to the output, in bytes.
    private var aliasAllowance: Int
    private let aliasLimit: Int

    private init(aliasLimit: Int) {
        self.aliasLimit = aliasLimit
        aliasAllowance = aliasLimit
    }

    /// Calls `body` with the JSON text of each document and the line that it starts in; empty documents are `null`.
    public static func forEachDocument(
        of bytes: UnsafeBufferPointer<UInt8>,
        _ body: ([UInt8], _ line: Int) throws -> Void
    ) throws {
        let events = YAMLEvents(bytes)
        var converter = YAMLConverter(aliasLimit: bytes.count + 1 << 20)
        var line = 1
        while true {
            let event = try events.next()
            switch event.kind {
            case .streamEnd: return
            case .other: continue
            case .documentStart:
                line = event.line
                converter = YAMLConverter(aliasLimit: bytes.count + 1 << 20)
            case .documentEnd:
                try body(converter.output, line)
            default:
                do {
                    try converter.take(event.kind)
                } catch {
                    throw YAMLError(line: event.line, reason: error.reason)
                }
            }
        }
    }

    private struct Refusal: Error {
        let reason: String

        init(_ reason: String) {
            self.reason = reason
        }
    }

    private mutating func take(_ event: YAMLEvents.Kind) throws(Refusal) {
        switch event {
        case .scalar(let scalar): try take(scalar)
        case .alias(let name): try expand(name)
        case .mappingStart(let anchor): try open(isMapping: true, anchor)
        case .sequenceStart(let anchor): try open(isMapping: false, anchor)
        case .mappingEnd, .sequenceEnd: try close()
        case .documentStart, .documentEnd, .streamEnd, .other: break
        }
    }

    private var expectsKey: Bool { frames.last.map { $0.isMapping && $0.key == nil } ?? false }

    private mutating func take(_ scalar: YAMLEvents.Scalar) throws(Refusal) {
        guard !expectsKey else { return try takeKey(scalar) }
        guard frames.last?.merge ?? .no == .no else { throw Refusal("only a mapping can be merged with <<") }
        let start = beginValue()
        ScalarText.append(scalar, to: &output)
        endValue(start, anchor: scalar.anchor, members: nil)
    }

    private mutating func takeKey(_ scalar: YAMLEvents.Scalar) throws(Refusal) {
        let top = frames.count - 1
        frames[top].key = scalar.text
        if scalar.text == "<<", scalar.isPlain, scalar.tag == nil {
            frames[top].merge = .one
            return
        }
        guard frames[top].keys.insert(scalar.text).inserted else {
            throw Refusal("the key \"\(scalar.text)\" appears twice in one mapping")
        }
    }

    private mutating func open(isMapping: Bool, _ anchor: String?) throws(Refusal) {
        guard !expectsKey else { throw Refusal("a key must be a scalar") }
        guard frames.count < Self.nestingLimit else {
            throw Refusal("nested more than \(Self.nestingLimit) levels deep")
        }
        if let top = frames.indices.last, frames[top].merge != .no {
            guard frames[top].merge == .one, !isMapping else {
                throw Refusal("only aliases of mappings can be merged with <<")
            }
            frames[top].merge = .list
            return
        }
        let start = beginValue()
        output.append(UInt8(ascii: isMapping ? "{" : "["))
        frames.append(Frame(isMapping: isMapping, anchor: anchor, start: start))
    }

    private mutating func close() throws(Refusal) {
        if let top = frames.indices.last, frames[top].merge == .list {
            frames[top].merge = .no
            frames[top].key = nil
            return
        }
        guard var frame = frames.popLast() else { return }
        for (key, value) in frame.merged where frame.keys.insert(key).inserted {
            if frame.hasElements { output.append(UInt8(ascii: ",")) }
            frame.hasElements = true
            JSONWriter.append(key, to: &output)
            output.append(UInt8(ascii: ":"))
            frame.members.append((key, output.count..<output.count + value.count))
            try append(copyOf: value)
        }
        output.append(UInt8(ascii: frame.isMapping ? "}" : "]"))
        endValue(frame.start, anchor: frame.anchor, members: frame.isMapping ? frame.members : nil)
    }

    private mutating func expand(_ name: String) throws(Refusal) {
        guard !expectsKey else { throw Refusal("an alias cannot be a key") }
        guard let anchored = anchors[name] else { throw Refusal("no anchor is called \"\(name)\" above this alias") }
        if let top = frames.indices.last, frames[top].merge != .no {
            guard let members = anchored.members else { throw Refusal("only a mapping can be merged with <<") }
            // Merging costs memory also where every key is there already.
            try charge(members.count * MemoryLayout<(String, Range<Int>)>.stride + 1)
            frames[top].merged += members
            guard frames[top].merge == .one else { return }
            frames[top].merge = .no
            frames[top].key = nil
            return
        }
        let start = beginValue()
        try append(copyOf: anchored.text)
        endValue(start, anchor: nil, members: nil)
    }

    private mutating func append(copyOf text: Range<Int>) throws(Refusal) {
        try charge(text.count + 1)
        output.append(contentsOf: Array(output[text]))
    }

    private mutating func charge(_ bytes: Int) throws(Refusal) {
        aliasAllowance -= bytes
        guard aliasAllowance >= 0 else { throw Refusal("aliases expand to more than \(aliasLimit) bytes") }
    }

    /// Writes what stands before a value, and returns where the value starts.
    private mutating func beginValue() -> Int {
        guard let top = frames.indices.last else { return output.count }
        if frames[top].hasElements { output.append(UInt8(ascii: ",")) }
        frames[top].hasElements = true
        if let key = frames[top].key {
            JSONWriter.append(key, to: &output)
            output.append(UInt8(ascii: ":"))
        }
        return output.count
    }

    private mutating func endValue(_ start: Int, anchor: String?, members: [(key: String, value: Range<Int>)]?) {
        let range = start..<output.count
        if let anchor {
            anchors[anchor] = Anchored(text: range, members: members)
        }
        guard let top = frames.indices.last, let key = frames[top].key else { return }
        frames[top].members.append((key, range))
        frames[top].key = nil
    }
}
