import JSON

/// Where two JSON values differ, as a client would notice: the order of members does not count.
struct JSONDifference {
    /// Members of which only the type is compared, as a server makes them up.
    var volatile: Set<String> = [
        "uid", "resourceVersion", "creationTimestamp", "lastTransitionTime", "serverAddress", "Age",
    ]
    /// Members that are not looked at.
    var ignored: Set<String> = []
    /// Lists in which the server may lack elements that the recording has, by the member that names an element.
    var partialLists: [String: String] = [:]

    func paths(_ recorded: JSONValue, _ served: JSONValue, _ path: String = "") -> [String] {
        switch (recorded, served) {
        case (.object(let recorded), .object(let served)):
            let keys = Set((recorded.members + served.members).map(\.key)).subtracting(ignored)
            return keys.sorted().flatMap { key -> [String] in
                let inner = "\(path).\(key)"
                switch (recorded.member(key), served.member(key)) {
                case (let recorded?, let served?):
                    if volatile.contains(key) { return recorded.noun == served.noun ? [] : ["\(inner): another type"] }
                    if let name = partialLists[key] { return partial(recorded, served, inner, name) }
                    return paths(recorded, served, inner)
                case (.some, nil): return ["\(inner): missing"]
                default: return ["\(inner): unexpected"]
                }
            }
        case (.array(let recorded), .array(let served)):
            guard recorded.count == served.count else {
                return ["\(path): \(served.count) elements instead of \(recorded.count)"]
            }
            return zip(recorded, served).enumerated().flatMap { paths($1.0, $1.1, "\(path)[\($0)]") }
        default:
            return recorded == served ? [] : ["\(path): \(served.text()) instead of \(recorded.text())"]
        }
    }

    /// Each element that is served is compared with the one of the same name.
    private func partial(_ recorded: JSONValue, _ served: JSONValue, _ path: String, _ name: String) -> [String] {
        guard case .array(let recorded) = recorded, case .array(let served) = served, !served.isEmpty else {
            return ["\(path): not two lists"]
        }
        return served.flatMap { element -> [String] in
            guard let twin = recorded.first(where: { $0[name] == element[name] }) else {
                return ["\(path): nothing recorded of \(element[name]?.text() ?? "")"]
            }
            return paths(twin, element, "\(path)[\(element[name]?.text() ?? "")]")
        }
    }
}

extension JSONObject {
    /// As the subscript, but tells `null` from nothing.
    func member(_ key: String) -> JSONValue? { members.last { $0.key == key }?.value }
}

extension JSONValue {
    init(_ bytes: [UInt8]) throws { self = try JSONValue(parsing: bytes.span) }

    init(_ text: String) throws { try self.init(Array(text.utf8)) }

    subscript(path: String) -> JSONValue? {
        var value: JSONValue? = self
        for part in path.split(separator: ".", omittingEmptySubsequences: false) {
            switch value {
            case .object(let object): value = object[String(part)]
            case .array(let elements): value = Int(part).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
            default: return nil
            }
        }
        return value
    }

    var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
}
