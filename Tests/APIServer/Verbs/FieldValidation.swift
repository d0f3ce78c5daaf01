import JSON

extension APIService {
    /// Looks for fields that the kind does not have, as `fieldValidation` asks. Returns warnings as headers.
    func checkFields(
        _ request: Request,
        _ type: ResourceType,
        _ object: JSONObject
    ) throws(APIError) -> [(String, String)] {
        let level = request.query["fieldValidation"] ?? "Warn"
        guard level != "Ignore", let schema = ProtobufSchema.of(type) else { return [] }
        var object = object
        object["apiVersion"] = nil
        object["kind"] = nil
        let unknown = schema.unknownFields(of: object, "")
        guard !unknown.isEmpty else { return [] }
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
    /// The paths of members that the published API does not know.
    func unknownFields(of object: JSONObject, _ path: String) -> [String] {
        guard isComplete else { return [] }
        return object.members.flatMap { member -> [String] in
            guard let field = fields.first(where: { $0.name == member.key }) else { return [path + member.key] }
            guard case .message(let schema) = field.kind else { return [] }
            if let elements = member.value.array {
                return elements.enumerated().flatMap { index, element in
                    element.object.map { schema.unknownFields(of: $0, "\(path)\(member.key)[\(index)].") } ?? []
                }
            }
            return member.value.object.map { schema.unknownFields(of: $0, "\(path)\(member.key).") } ?? []
        }
    }
}
