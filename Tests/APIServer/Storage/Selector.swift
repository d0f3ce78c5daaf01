/// A label or field selector.
struct Selector: Sendable {
    struct Failure: Error {
        let message: String
    }

    enum Requirement: Hashable, Sendable {
        case `in`(String, Set<String>)
        case notIn(String, Set<String>)
        case exists(String)
        case absent(String)
        case greater(String, Int64)
        case less(String, Int64)

        func matches(_ values: [String: String]) -> Bool {
            switch self {
            case .in(let key, let wanted): values[key].map(wanted.contains) ?? false
            case .notIn(let key, let unwanted): !(values[key].map(unwanted.contains) ?? false)
            case .exists(let key): values[key] != nil
            case .absent(let key): values[key] == nil
            case .greater(let key, let bound): values[key].flatMap { Int64($0) }.map { $0 > bound } ?? false
            case .less(let key, let bound): values[key].flatMap { Int64($0) }.map { $0 < bound } ?? false
            }
        }
    }

    var requirements: [Requirement] = []

    var isEmpty: Bool { requirements.isEmpty }

    func matches(_ values: [String: String]) -> Bool {
        requirements.allSatisfy { $0.matches(values) }
    }

    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    init(labels text: String) throws(Failure) {
        let words = Self.words(text)
        var position = 0
        func next() -> String? { position < words.count ? words[position] : nil }
        func take() -> String? {
            defer { position += 1 }
            return next()
        }
        func failure(_ what: String) -> Failure { Failure(message: "unable to parse requirement: \(what)") }

        while position < words.count {
            guard let word = take() else { break }
            if word == "!" {
                guard let key = take(), Self.isName(key) else {
                    throw failure("found '\(word)', expected: identifier")
                }
                requirements.append(.absent(key))
            } else {
                guard Self.isName(word) else {
                    throw failure("found '\(word)', expected: !, identifier, or 'end of string'")
                }
                requirements.append(try Self.requirement(word, next, take))
            }
            if let comma = take() {
                guard comma == "," else { throw failure("found '\(comma)', expected: ',' or 'end of string'") }
                guard position < words.count else { throw failure("found '', expected: identifier after ','") }
            }
        }
    }

    private static func requirement(
        _ key: String,
        _ next: () -> String?,
        _ take: () -> String?
    ) throws(Failure) -> Requirement {
        guard let symbol = next(), symbol != "," else { return .exists(key) }
        _ = take()
        switch symbol {
        case "=", "==", "!=":
            // A value may be missing: `a=` asks for the empty one.
            let value = next().map { $0 == "," ? "" : $0 } ?? ""
            if !value.isEmpty { _ = take() }
            return symbol == "!=" ? .notIn(key, [value]) : .in(key, [value])
        case ">", "<":
            guard let bound = take().flatMap({ Int64($0) }) else {
                throw Failure(message: "for 'Gt', 'Lt' operators, the value must be an integer")
            }
            return symbol == ">" ? .greater(key, bound) : .less(key, bound)
        case "in", "notin":
            guard take() == "(" else { throw Failure(message: "unable to parse requirement: expected '('") }
            var values: Set<String> = []
            while let value = take() {
                if value == ")" { return symbol == "in" ? .in(key, values) : .notIn(key, values) }
                if value != "," { values.insert(value) }
            }
            throw Failure(message: "unable to parse requirement: expected ')'")
        default:
            throw Failure(
                message: "unable to parse requirement: found '\(symbol)', expected: in, notin, =, ==, !=, gt, lt"
            )
        }
    }

    private static func isName(_ word: String) -> Bool {
        word.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    private static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        func flush() {
            if !word.isEmpty { words.append(word) }
            word = ""
        }
        var rest = Substring(text)
        while let character = rest.popFirst() {
            switch character {
            case " ", "\t": flush()
            case ",", "(", ")", ">", "<":
                flush()
                words.append(String(character))
            case "!", "=":
                flush()
                if rest.first == "=" {
                    rest.removeFirst()
                    words.append("\(character)=")
                } else {
                    words.append(String(character))
                }
            default: word.append(character)
            }
        }
        flush()
        return words
    }

    /// Reads `metadata.name=a,spec.nodeName!=b`, of the fields that the resource offers.
    init(fields text: String, _ type: ResourceType) throws(Failure) {
        for term in text.split(separator: ",") {
            let parts =
                term.contains("!=")
                ? term.split(separator: "!=", omittingEmptySubsequences: false)
                : term.split(separator: "=", omittingEmptySubsequences: false).filter {
                    // `==` leaves an empty part in the middle.
                    !$0.isEmpty || !term.contains("==")
                }
            guard let key = parts.first.map(String.init), (1...2).contains(parts.count), !key.isEmpty,
                term.contains("=")
            else {
                throw Failure(message: "invalid field selector: '\(term)'; can't understand '\(term)'")
            }
            guard Self.fields(type).contains(key) else {
                throw Failure(message: "field label not supported: \(key)")
            }
            let value = parts.count == 2 ? String(parts[1]) : ""
            requirements.append(term.contains("!=") ? .notIn(key, [value]) : .in(key, [value]))
        }
    }

    private static func fields(_ type: ResourceType) -> [String] {
        let own: [String] =
            switch type {
            case .pods: ["spec.nodeName", "status.phase", "status.podIP", "spec.restartPolicy"]
            case .nodes: ["spec.unschedulable"]
            case .namespaces: ["status.phase"]
            case .services: ["spec.type", "spec.clusterIP"]
            default: []
            }
        return ["metadata.name"] + (type.isNamespaced ? ["metadata.namespace"] : []) + own
    }
}

/// What a list or watch is about.
struct Selection: Sendable {
    /// `nil` for all.
    var namespace: String?
    /// Of the path; only an object of this name.
    var labels: Selector
    var fields: Selector

    var hasSelector: Bool { !labels.isEmpty || !fields.isEmpty }

    func matches(_ object: StoredObject) -> Bool {
        if let namespace, object.id.namespace != namespace { return false }
        guard labels.isEmpty || labels.matches(object.labels) else { return false }
        if fields.isEmpty { return true }
        var values = object.fields
        values["metadata.name"] = object.id.name
        values["metadata.namespace"] = object.id.namespace
        return fields.matches(values)
    }
}
