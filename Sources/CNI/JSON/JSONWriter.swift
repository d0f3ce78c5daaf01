extension JSONValue {
    /// The value as JSON text: on one line, or, with an indentation, spread over lines as the reference plugins do.
    public func text(indentation: Int? = nil) -> String {
        var text = ""
        write(to: &text, indentation: indentation, level: 0)
        return text
    }

    private func write(to text: inout String, indentation: Int?, level: Int) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let digits): text += digits
        case .string(let value): Self.write(value, to: &text)
        case .array(let elements):
            Self.write(elements, between: ("[", "]"), to: &text, indentation, level) { element, text in
                element.write(to: &text, indentation: indentation, level: level + 1)
            }
        case .object(let object):
            Self.write(object.members, between: ("{", "}"), to: &text, indentation, level) { member, text in
                Self.write(member.key, to: &text)
                text += indentation == nil ? ":" : ": "
                member.value.write(to: &text, indentation: indentation, level: level + 1)
            }
        }
    }

    private static func write<Element>(
        _ elements: [Element],
        between brackets: (open: String, close: String),
        to text: inout String,
        _ indentation: Int?,
        _ level: Int,
        element write: (Element, inout String) -> Void
    ) {
        text += brackets.open
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            newLine(in: &text, indentation, level + 1)
            write(element, &text)
        }
        if !elements.isEmpty { newLine(in: &text, indentation, level) }
        text += brackets.close
    }

    private static func newLine(in text: inout String, _ indentation: Int?, _ level: Int) {
        guard let indentation else { return }
        text += "\n" + String(repeating: " ", count: indentation * level)
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
