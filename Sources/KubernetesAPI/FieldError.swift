/// What is wrong with an object, and where in it.
public struct FieldError: Error, Hashable, Sendable {
    /// The path of the field, as `spec.ports[0].port`; empty when the fault concerns the whole object.
    public let path: String
    /// One clause for a person.
    public let reason: String
    /// The keys of the path; a number is an index of a list.
    public let components: [Component]

    public enum Component: Hashable, Sendable {
        case key(String)
        case index(Int)
    }

    public init(_ path: Component..., reason: String) {
        self.init(components: path, reason: reason)
    }

    public init(components: [Component], reason: String) {
        self.components = components
        self.reason = reason
        path = components.reduce(into: "") { text, component in
            switch component {
            case .index(let index): text += "[\(index)]"
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            }
        }
    }

    /// Restates what a decoder threw.
    public init(_ error: DecodingError) {
        let context: DecodingError.Context
        var missing: (any CodingKey)?
        let reason: String
        switch error {
        case .typeMismatch(let type, let its), .valueNotFound(let type, let its):
            context = its
            reason = "expected \(Self.noun(of: type))" + Self.found(in: its.debugDescription)
        case .keyNotFound(let key, let its):
            context = its
            missing = key
            reason = "is missing"
        case .dataCorrupted(let its):
            context = its
            reason = its.debugDescription
        @unknown default:
            self.init(components: [], reason: "\(error)")
            return
        }
        self.init(
            components: (context.codingPath + (missing.map { [$0] } ?? [])).map { key in
                key.intValue.map { .index($0) } ?? .key(key.stringValue)
            },
            reason: reason
        )
    }

    private static func noun(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any ListType.Type: "a list"
        default: "an object"
        }
    }

    /// Foundation ends its sentence with what it saw: "… but found a string instead."
    private static func found(in sentence: String) -> String {
        guard let start = sentence.firstRange(of: "found "), let end = sentence.firstRange(of: " instead") else {
            return ""
        }
        guard start.upperBound < end.lowerBound else { return "" }
        let seen = sentence[start.upperBound..<end.lowerBound]
        switch seen {
        case "an array": return ", found a list"
        case "a dictionary": return ", found an object"
        case "bool": return ", found true or false"
        case "number": return ", found a number"
        default: return ", found \(seen)"
        }
    }
}

/// Tells lists apart from everything else that can be decoded.
private protocol ListType {}
extension Array: ListType {}

extension FieldError: CustomStringConvertible {
    public var description: String { path.isEmpty ? reason : "\(path): \(reason)" }
}

extension FieldError.Component: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    public init(stringLiteral value: String) { self = .key(value) }
    public init(integerLiteral value: Int) { self = .index(value) }
}
