import JSON

extension APIService {
    /// Looks for fields that the kind does not have, as `fieldValidation` asks, and takes them away. Returns warnings as
    /// headers.
    func checkFields(
        _ request: Request,
        _ type: ResourceType,
        _ object: inout JSONObject
    ) throws(APIError) -> [(String, String)] {
        let level = request.query["fieldValidation"] ?? "Warn"
        guard let schema = ProtobufSchema.of(type) else { return [] }
        var fields = object
        fields["apiVersion"] = nil
        fields["kind"] = nil
        let unknown = schema.removeUnknownFields(of: &fields, "")
        guard !unknown.isEmpty else { return [] }
        for member in fields.members { object[member.key] = member.value }
        for member in object.members where fields[member.key] == nil && !["apiVersion", "kind"].contains(member.key) {
            object[member.key] = nil
        }
        if level == "Ignore" { return [] }
        if level == "Strict" {
            let list = unknown.map { "unknown field \"\($0)\"" }.joined(separator: ", ")
            throw .badRequest(
                "\(type.kind) in version \"\(type.version)\" cannot be handled as a \(type.kind): strict decoding "
                    + "error: \(list)"
            )
        }
        return unknown.map { ("Warning", #"299 - "unknown field \"\#($0)\"""#) }
    }
}

extension ProtobufSchema {
    /// Takes away members that the published API does not know, and returns their paths.
    func removeUnknownFields(of object: inout JSONObject, _ path: String) -> [String] {
        guard isComplete else { return [] }
        var unknown: [String] = []
        for member in object.members {
            guard let field = fields.first(where: { $0.name == member.key }) else {
                unknown.append(path + member.key)
                object[member.key] = nil
                continue
            }
            guard case .message(let schema) = field.kind else { continue }
            if var elements = member.value.array {
                for index in elements.indices {
                    guard var inner = elements[index].object else { continue }
                    unknown += schema.removeUnknownFields(of: &inner, "\(path)\(member.key)[\(index)].")
                    elements[index] = .object(inner)
                }
                object[member.key] = .array(elements)
            } else if var inner = member.value.object {
                unknown += schema.removeUnknownFields(of: &inner, "\(path)\(member.key).")
                object[member.key] = .object(inner)
            }
        }
        return unknown
    }
}
