import JSON

/// JSON merge patch (RFC 7386) and JSON patch (RFC 6902).
enum JSONPatch {
    struct Failure: Error, Hashable {
        let reason: String
    }

    static func merge(_ patch: JSONValue, into value: JSONValue) -> JSONValue {
        guard case .object(let patch) = patch else { return patch }
        var object = value.object ?? JSONObject()
        for member in patch.members {
            if member.value == .null {
                object[member.key] = nil
            } else {
                object[member.key] = merge(member.value, into: object[member.key] ?? .null)
            }
        }
        return .object(object)
    }

    static func apply(_ operations: [JSONValue], to value: JSONValue) throws(Failure) -> JSONValue {
        var value = value
        for operation in operations {
            guard let operation = operation.object, let name = operation["op"]?.text,
                let path = try operation["path"]?.text.map(pointer)
            else { throw Failure(reason: "an operation without op or path") }
            // A value may be null, which a look-up does not tell from none.
            let operand = operation.members.last { $0.key == "value" }?.value
            switch name {
            case "test":
                guard try get(path, in: value) == operand else { throw Failure(reason: "test failed") }
            case "remove": value = try edit(path, in: value) { _ in .remove }
            case "add", "replace":
                guard let operand else { throw Failure(reason: "no value") }
                if name == "replace" { _ = try get(path, in: value) }
                value = try edit(path, in: value) { _ in name == "add" ? .add(operand) : .replace(operand) }
            case "copy", "move":
                guard let from = try operation["from"]?.text.map(pointer) else { throw Failure(reason: "no from") }
                let moved = try get(from, in: value)
                if name == "move" { value = try edit(from, in: value) { _ in .remove } }
                value = try edit(path, in: value) { _ in .add(moved) }
            default: throw Failure(reason: "unknown operation \(name)")
            }
        }
        return value
    }

    private enum Edit { case add(JSONValue), replace(JSONValue), remove }

    private static func pointer(_ text: String) throws(Failure) -> ArraySlice<String> {
        if text.isEmpty { return [] }
        guard text.hasPrefix("/") else { throw Failure(reason: "not a pointer: \(text)") }
        return text.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            String($0).replacing("~1", with: "/").replacing("~0", with: "~")
        }[...]
    }

    private static func get(_ path: ArraySlice<String>, in value: JSONValue) throws(Failure) -> JSONValue {
        guard let key = path.first else { return value }
        switch value {
        case .object(let object):
            guard let inner = object[key] else { throw Failure(reason: "no member \(key)") }
            return try get(path.dropFirst(), in: inner)
        case .array(let elements):
            guard let index = Int(key), elements.indices.contains(index) else {
                throw Failure(reason: "no element \(key)")
            }
            return try get(path.dropFirst(), in: elements[index])
        default: throw Failure(reason: "no member \(key)")
        }
    }

    private static func edit(
        _ path: ArraySlice<String>,
        in value: JSONValue,
        _ change: (JSONValue?) -> Edit
    ) throws(Failure) -> JSONValue {
        guard let key = path.first else {
            switch change(value) {
            case .add(let new), .replace(let new): return new
            case .remove: throw Failure(reason: "the whole document cannot be removed")
            }
        }
        let isLast = path.count == 1
        switch value {
        case .object(var object):
            guard isLast else {
                guard let inner = object[key] else { throw Failure(reason: "no member \(key)") }
                object[key] = try edit(path.dropFirst(), in: inner, change)
                return .object(object)
            }
            switch change(object[key]) {
            case .add(let new), .replace(let new): object[key] = new
            case .remove:
                guard object[key] != nil else { throw Failure(reason: "no member \(key)") }
                object[key] = nil
            }
            return .object(object)
        case .array(var elements):
            let index = key == "-" ? elements.count : Int(key) ?? -1
            guard index >= 0, index <= elements.count else { throw Failure(reason: "no element \(key)") }
            if isLast, case .add(let new) = change(nil) {
                elements.insert(new, at: index)
                return .array(elements)
            }
            guard index < elements.count else { throw Failure(reason: "no element \(key)") }
            guard isLast else {
                elements[index] = try edit(path.dropFirst(), in: elements[index], change)
                return .array(elements)
            }
            switch change(elements[index]) {
            case .add(let new), .replace(let new): elements[index] = new
            case .remove: elements.remove(at: index)
            }
            return .array(elements)
        default: throw Failure(reason: "no member \(key)")
        }
    }
}
