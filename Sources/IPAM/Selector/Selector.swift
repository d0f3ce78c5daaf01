/// A condition on labels in Calico's selector language (`reference/calico.md` 1.9).
///
/// Node and namespace selectors of pools are written in it: `zone == "a" && !has(edge)`. The empty text selects all.
public indirect enum Selector: Hashable, Sendable {
    case all
    case has(String)
    case equals(String, String)
    /// One of the values.
    case isIn(String, Set<String>)
    case contains(String, String)
    case starts(String, with: String)
    case ends(String, with: String)
    case not(Selector)
    case and([Selector])
    case or([Selector])

    /// Whether the labels fulfil the condition.
    ///
    /// A label that is missing is not equal to, in, or containing anything; so `!=` and `not in` hold for it.
    public func matches(_ labels: [String: String]) -> Bool {
        switch self {
        case .all: true
        case .has(let key): labels[key] != nil
        case .equals(let key, let value): labels[key] == value
        case .isIn(let key, let values): labels[key].map(values.contains) ?? false
        case .contains(let key, let part): labels[key]?.utf8.containsSequence(part.utf8) ?? false
        case .starts(let key, let prefix): labels[key]?.utf8.starts(with: prefix.utf8) ?? false
        case .ends(let key, let suffix): labels[key]?.utf8.reversed().starts(with: suffix.utf8.reversed()) ?? false
        case .not(let condition): !condition.matches(labels)
        case .and(let conditions): conditions.allSatisfy { $0.matches(labels) }
        case .or(let conditions): conditions.contains { $0.matches(labels) }
        }
    }

    /// Parses a selector; an error says what was expected where.
    public init(_ text: String) throws(SelectorError) {
        var parser = SelectorParser(text)
        self = try parser.parse()
    }
}

/// Why a text is no selector.
public struct SelectorError: Error, Hashable, Sendable, CustomStringConvertible {
    public let selector: String
    /// In bytes from the start.
    public let offset: Int
    public let problem: String

    public var description: String { "selector \"\(selector)\": \(problem) at byte \(offset)" }
}

extension Collection<UInt8> {
    fileprivate func containsSequence(_ part: some Collection<UInt8>) -> Bool {
        var rest = self[...]
        while true {
            if rest.starts(with: part) { return true }
            guard !rest.isEmpty else { return false }
            rest = rest.dropFirst()
        }
    }
}
