/// The grammar of selectors, one function for each level of binding: `||`, `&&`, `!`, then a term.
struct SelectorParser {
    private let text: String
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    /// Deeper nesting is refused rather than followed.
    private static let deepest = 100

    init(_ text: String) {
        self.text = text
        bytes = Array(text.utf8)
    }

    mutating func parse() throws(SelectorError) -> Selector {
        skipSpace()
        guard position < bytes.count else { return .all }
        let selector = try disjunction()
        guard position == bytes.count else { throw failure("unexpected text") }
        return selector
    }

    private mutating func disjunction() throws(SelectorError) -> Selector {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw failure("nested too deeply") }
        var parts = [try conjunction()]
        while take("||") { parts.append(try conjunction()) }
        return parts.count == 1 ? parts[0] : .or(parts)
    }

    private mutating func conjunction() throws(SelectorError) -> Selector {
        var parts = [try negation()]
        while take("&&") { parts.append(try negation()) }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func negation() throws(SelectorError) -> Selector {
        var isNegated = false
        while take("!") { isNegated.toggle() }
        let term = try term()
        return isNegated ? .not(term) : term
    }

    private mutating func term() throws(SelectorError) -> Selector {
        if take("(") {
            let inner = try disjunction()
            try expect(")")
            return inner
        }
        let name = try label()
        if ["all", "global", "has"].contains(name), take("(") {
            guard name == "has" else {
                try expect(")")
                return .all
            }
            let key = try label()
            try expect(")")
            return .has(key)
        }
        return try comparison(name)
    }

    private mutating func comparison(_ key: String) throws(SelectorError) -> Selector {
        if take("==") { return .equals(key, try literal()) }
        if take("!=") { return .not(.equals(key, try literal())) }
        switch word() {
        case "in": return .isIn(key, try set())
        case "notin": return .not(.isIn(key, try set()))
        case "not":
            guard word() == "in" else { throw failure("expected in") }
            return .not(.isIn(key, try set()))
        case "contains": return .contains(key, try literal())
        case "startswith": return .starts(key, with: try literal())
        case "endswith": return .ends(key, with: try literal())
        case "starts":
            guard word() == "with" else { throw failure("expected with") }
            return .starts(key, with: try literal())
        case "ends":
            guard word() == "with" else { throw failure("expected with") }
            return .ends(key, with: try literal())
        default:
            throw failure("expected an operator")
        }
    }

    private mutating func set() throws(SelectorError) -> Set<String> {
        try expect("{")
        var values: Set<String> = []
        if take("}") { return values }
        repeat { values.insert(try literal()) } while take(",")
        try expect("}")
        return values
    }

    // MARK: Tokens

    /// The name of a label: letters, digits and `_ . / -`.
    private mutating func label() throws(SelectorError) -> String {
        let start = position
        while position < bytes.count, Self.isLabelByte(bytes[position]) { position += 1 }
        guard position > start else { throw failure("expected a label") }
        defer { skipSpace() }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func word() -> String {
        let start = position
        while position < bytes.count, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[position]) {
            position += 1
        }
        defer { skipSpace() }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// A value in single or double quotes; there are no escapes.
    private mutating func literal() throws(SelectorError) -> String {
        guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") || bytes[position] == UInt8(ascii: "'")
        else {
            throw failure("expected a value in quotes")
        }
        let start = position + 1
        guard let end = bytes[start...].firstIndex(of: bytes[position]) else { throw failure("unterminated value") }
        position = end + 1
        skipSpace()
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }

    private mutating func take(_ token: String) -> Bool {
        guard bytes[position...].starts(with: token.utf8) else { return false }
        position += token.utf8.count
        skipSpace()
        return true
    }

    private mutating func expect(_ token: String) throws(SelectorError) {
        guard take(token) else { throw failure("expected \(token)") }
    }

    private mutating func skipSpace() {
        while position < bytes.count, [UInt8(ascii: " "), UInt8(ascii: "\t")].contains(bytes[position]) {
            position += 1
        }
    }

    private func failure(_ problem: String) -> SelectorError {
        SelectorError(selector: text, offset: position, problem: problem)
    }

    private static func isLabelByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"),
            UInt8(ascii: "-"):
            true
        default:
            false
        }
    }
}
