import JSON
import KubernetesAPI

/// As much of a structural schema (OpenAPI v3 of a CustomResourceDefinition) as the definitions use, and what a server
/// makes of an object by it.
struct Schema {
    let value: JSONValue

    /// The names of the properties of an object.
    var properties: Set<String> { Set(value["properties"].members.map(\.key)) }

    func property(_ name: String) -> Schema { Schema(value: value["properties"][name]) }

    /// Why a server refuses the object, or what it would take away from it.
    func problems(with object: JSONValue, at path: String = "") -> [String] {
        if object == .null { return value["nullable"] == true ? [] : ["\(path) is null"] }
        var problems: [String] = []
        switch value["type"].text {
        case "object":
            guard case .object = object else { return ["\(path) is no object"] }
            for name in value["required"].array where object[name.text] == .null {
                problems.append("\(path).\(name.text) is missing")
            }
            for member in object.members {
                let place = "\(path).\(member.key)"
                if value["properties"][member.key] != .null {
                    problems += property(member.key).problems(with: member.value, at: place)
                } else if value["additionalProperties"] != .null {
                    problems += Schema(value: value["additionalProperties"]).problems(with: member.value, at: place)
                } else if !isOpen {
                    problems.append("\(place) is pruned")
                }
            }
        case "array":
            guard case .array(let elements) = object else { return ["\(path) is no array"] }
            for (index, element) in elements.enumerated() {
                problems += Schema(value: value["items"]).problems(with: element, at: "\(path)[\(index)]")
            }
        case "string":
            guard case .string(let text) = object else { return ["\(path) is no string"] }
            let known = value["enum"].array
            if !known.isEmpty, !known.contains(object) { problems.append("\(path) is \(text)") }
            if value["format"] == "date-time", Timestamp(text) == nil {
                problems.append("\(path) is no time: \(text)")
            }
        case "integer":
            guard case .number(let digits) = object, let number = Int64(digits) else {
                return ["\(path) is no integer"]
            }
            if case .number(let least) = value["minimum"], let least = Int64(least), number < least {
                problems.append("\(path) is below \(least)")
            }
            if case .number(let most) = value["maximum"], let most = Int64(most), number > most {
                problems.append("\(path) is above \(most)")
            }
        case "boolean":
            guard case .bool = object else { return ["\(path) is no boolean"] }
        default: problems.append("\(path): the schema has no type")
        }
        return problems
    }

    /// `metadata` of an object is the server's own business.
    private var isOpen: Bool { value["properties"] == .null && value["additionalProperties"] == .null }
}
