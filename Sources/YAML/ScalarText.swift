import JSON

/// JSON text from YAML scalars.
enum ScalarText {
    static func append(_ scalar: YAMLEvents.Scalar, to output: inout [UInt8]) {
        let looksDecide = scalar.isPlain ? scalar.tag == nil || scalar.tag?.hasSuffix(":str") == false : false
        if looksDecide || scalar.tag.map(typedTags.contains) == true, let literal = literal(scalar.text) {
            output += literal.utf8
        } else {
            JSONWriter.append(scalar.text, to: &output)
        }
    }

    private static let typedTags = [
        "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null",
    ]

    /// The JSON form of a plain scalar that is no string by the rules of YAML 1.1, which kubectl follows; but `y` and
    /// `n` alone stay strings, since they are more likely to be meant as names.
    private static func literal(_ text: String) -> String? {
        switch text {
        case "", "~", "null", "Null", "NULL": "null"
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": "true"
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": "false"
        default: number(text)
        }
    }

    private static func number(_ text: String) -> String? {
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return nil }
        var digits = text.filter { $0 != "_" }
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        guard let start = digits.utf8.first, start != UInt8(ascii: "+"), start != UInt8(ascii: "-") else { return nil }
        let sign = isNegative ? "-" : ""

        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] where digits.hasPrefix(prefix) {
            return UInt64(digits.dropFirst(2), radix: radix).map { sign + String($0) }
        }
        if digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            guard digits.hasPrefix("0"), digits.utf8.count > 1 else { return sign + digits }
            // A leading zero means octal; what is not octal is a string.
            return UInt64(digits, radix: 8).map { sign + String($0) }
        }
        return isFloat(digits) ? Double(digits).flatMap { $0.isFinite ? sign + $0.description : nil } : nil
    }

    /// `[0-9]* ( . [0-9]* )? ( [eE] [-+]? [0-9]+ )?` with a digit before the exponent.
    private static func isFloat(_ text: String) -> Bool {
        var rest = text.utf8[...]
        func takeDigits() -> Int {
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            rest = rest.dropFirst(digits.count)
            return digits.count
        }
        var digits = takeDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            digits += takeDigits()
        }
        guard digits > 0 else { return false }
        if let mark = rest.first, mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard takeDigits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}
