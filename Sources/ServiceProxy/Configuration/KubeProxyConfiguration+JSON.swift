import JSON

extension KubeProxyConfiguration {
    /// Why a file is no configuration at all.
    public struct Unreadable: Error, Hashable, Sendable, CustomStringConvertible {
        public let problems: [String]

        public var description: String { problems.joined(separator: "\n") }
    }

    /// What was found to be odd in a file that can be used all the same.
    public struct Reading: Hashable, Sendable {
        public var configuration = KubeProxyConfiguration()
        /// What a strict reader would refuse: unknown and repeated fields.
        public var lenientBecause: [String] = []
    }

    /// Reads the JSON form of a configuration file. Unknown and repeated fields are passed over and named; of a
    /// repeated field the last counts.
    public static func read(_ json: JSONValue) throws(Unreadable) -> Reading {
        guard case .object(let object) = json else {
            throw Unreadable(problems: ["a \(kind) is an object, not \(json.noun)"])
        }
        var reader = Reader()
        reader.check("apiVersion", object, apiVersion)
        reader.check("kind", object, kind)
        if reader.problems.isEmpty { reader.read(object, prefix: "") }
        guard reader.problems.isEmpty else { throw Unreadable(problems: reader.problems) }
        return reader.reading
    }

    private struct Reader {
        var reading = Reading()
        var problems: [String] = []

        private static let fields = Dictionary(uniqueKeysWithValues: ConfigurationField.all.map { ($0.path, $0) })
        private static let groups = Set(
            ConfigurationField.all.compactMap {
                $0.path.split(separator: ".").count > 1 ? $0.path.prefix(while: { $0 != "." }) : nil
            }
        )

        mutating func check(_ name: String, _ object: JSONObject, _ expected: String) {
            guard object[name] != .string(expected) else { return }
            let found = object[name].map { $0.text() } ?? "missing"
            problems.append("\(name): expected \"\(expected)\", but it is \(found)")
        }

        mutating func read(_ object: JSONObject, prefix: String) {
            var seen: Set<String> = []
            for member in object.members {
                let path = prefix + member.key
                if !seen.insert(member.key).inserted {
                    reading.lenientBecause.append("field \"\(path)\" is given twice")
                }
                if prefix.isEmpty, member.key == "apiVersion" || member.key == "kind" { continue }
                if let field = Self.fields[path] {
                    read(member.value, field)
                } else if prefix.isEmpty, Self.groups.contains(member.key[...]) {
                    switch member.value {
                    case .null: break
                    case .object(let group): self.read(group, prefix: path + ".")
                    default: problems.append("\(path): expected an object, not \(member.value.noun)")
                    }
                } else {
                    reading.lenientBecause.append("unknown field \"\(path)\"")
                }
            }
        }

        private mutating func read(_ value: JSONValue, _ field: ConfigurationField) {
            guard value != .null else { return }
            switch (field.access, value) {
            case (.nothing, _): reading.given(field)
            case (.string, .string(let text)), (.address, .string(let text)), (.duration, .string(let text)):
                if text.isEmpty, field.zeroIsUnset { return }
                take(text, field)
            case (.bool, .bool(let value)): take("\(value)", field)
            case (.integer, .number(let text)), (.real, .number(let text)): take(text, field)
            case (.strings(let path), .array(let elements)):
                let texts = elements.compactMap { element in
                    if case .string(let text) = element { text } else { nil }
                }
                guard texts.count == elements.count else {
                    problems.append("\(field.path): expected an array of strings")
                    return
                }
                reading.configuration[keyPath: path] = texts
            case (.gates(let path), .object(let object)):
                for member in object.members {
                    guard case .bool(let value) = member.value else {
                        problems.append("\(field.path).\(member.key): expected a boolean, not \(member.value.noun)")
                        continue
                    }
                    reading.configuration[keyPath: path][member.key] = value
                }
            default: problems.append("\(field.path): expected \(field.wanted), not \(value.noun)")
            }
        }

        private mutating func take(_ text: String, _ field: ConfigurationField) {
            var new = reading.configuration
            if let expected = field.set(text, in: &new) {
                problems.append("\(field.path): expected \(expected), not \"\(text)\"")
                return
            }
            let isZero = ["0", "0s"].contains(field.text(in: new))
            if !(isZero && field.zeroIsUnset) { reading.configuration = new }
        }
    }

    /// The configuration as a file would have it, with fields in alphabetical order.
    public var json: JSONValue {
        var groups: [String: [(String, JSONValue)]] = [:]
        var members: [(String, JSONValue)] = [
            ("apiVersion", .string(Self.apiVersion)), ("kind", .string(Self.kind)),
        ]
        for field in ConfigurationField.all {
            guard let value = field.json(in: self) else { continue }
            let parts = field.path.split(separator: ".").map(String.init)
            if parts.count == 2 {
                groups[parts[0], default: []].append((parts[1], value))
            } else {
                members.append((parts[0], value))
            }
        }
        members += groups.map { ($0.key, .object(JSONObject($0.value.sorted { $0.0 < $1.0 }))) }
        return .object(JSONObject(members.sorted { $0.0 < $1.0 }))
    }

    /// The same as YAML.
    public var yaml: String { json.yaml }
}

extension KubeProxyConfiguration.Reading {
    fileprivate mutating func given(_ field: ConfigurationField) {
        configuration.givenWithoutValue.insert(field.path)
    }
}

extension ConfigurationField {
    fileprivate var wanted: String {
        switch access {
        case .string, .address: "a string"
        case .duration: "a string like \"1h0m5s\""
        case .bool: "a boolean"
        case .integer, .real: "a number"
        case .strings: "an array of strings"
        case .gates: "an object"
        case .nothing: "anything"
        }
    }
}
