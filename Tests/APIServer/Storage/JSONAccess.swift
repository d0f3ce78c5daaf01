import JSON

extension JSONValue {
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    var object: JSONObject? {
        guard case .object(let object) = self else { return nil }
        return object
    }

    var array: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    var integer: Int64? {
        guard case .number(let digits) = self else { return nil }
        return Int64(digits)
    }
}

extension JSONObject {
    /// Changes an object that is the value of a key; one is made if need be.
    mutating func update(_ key: String, _ change: (inout JSONObject) -> Void) {
        var inner = self[key]?.object ?? JSONObject()
        change(&inner)
        self[key] = .object(inner)
    }

    /// Sets a key that has no value yet.
    mutating func setDefault(_ key: String, _ value: JSONValue) {
        if self[key] == nil { self[key] = value }
    }
}
