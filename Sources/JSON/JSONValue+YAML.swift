extension JSONValue {
    /// The value as YAML, as `kubectl` prints it: objects and arrays over lines, and quotes, which are those of JSON, only
    /// where a string might be taken for something else. Ends with a newline.
    public var yaml: String { yaml(margin: "") }

    private func yaml(margin: String) -> String {
        switch self {
        case .object(let object) where !object.isEmpty:
            return object.members.map { member in
                let head = "\(margin)\(Self.scalar(member.key)):"
                guard member.value.takesLines else { return "\(head) \(member.value.scalar)\n" }
                // The dash of an array sets it off enough.
                let isArray = if case .array = member.value { true } else { false }
                return "\(head)\n" + member.value.yaml(margin: isArray ? margin : margin + "  ")
            }.joined()
        case .array(let elements) where !elements.isEmpty:
            return elements.map { element in
                // The first line of an element stands behind its dash.
                let lines = element.yaml(margin: margin + "  ")
                return "\(margin)- \(lines.dropFirst(margin.count + 2))"
            }.joined()
        default: return "\(margin)\(scalar)\n"
        }
    }

    private var takesLines: Bool {
        switch self {
        case .object(let object): !object.isEmpty
        case .array(let elements): !elements.isEmpty
        default: false
        }
    }

    private var scalar: String {
        if case .string(let text) = self { Self.scalar(text) } else { text() }
    }

    private static func scalar(_ text: String) -> String {
        isPlain(text) ? text : JSONValue.string(text).text()
    }

    /// Whether every reader of YAML, 1.1 or 1.2, takes the text without quotes for this string. Some are quoted that would
    /// not have to be.
    private static func isPlain(_ text: String) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, let last = bytes.last, last != UInt8(ascii: ":") else { return false }
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
        if isDigit(first) {
            // An IPv4 address or prefix; what has one dot or none may be a number, what has dashes a date.
            return bytes.count { $0 == UInt8(ascii: ".") } == 3
                && bytes.allSatisfy { isDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/") }
        }
        guard isLetter(first) || first == UInt8(ascii: "/") else { return false }
        // A colon is one that a space does not follow, so that it ends no key.
        let isHarmless = bytes.allSatisfy { isLetter($0) || isDigit($0) || "._/-:()".utf8.contains($0) }
        return isHarmless && !words.contains(text.lowercased())
    }

    /// What YAML 1.1 takes for booleans and nothing.
    private static let words: Set<String> = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
}
