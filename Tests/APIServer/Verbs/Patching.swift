import JSON

extension APIService {
    func patch(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ name: String,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        let id = ObjectID(namespace: path.namespace ?? "", name: name)
        let options = WriteOptions(request, path)
        switch request.contentType {
        case "application/merge-patch+json":
            let patch = try body(request)
            guard case .object = patch else { throw .badRequest("the merge patch is not an object") }
            return encoded(
                try change(type, id, options) { current throws(APIError) in
                    try Self.object(JSONPatch.merge(patch, into: .object(current)))
                },
                representation
            )
        case "application/strategic-merge-patch+json" where !type.isCustom:
            guard let patch = try body(request).object else { throw .badRequest("the patch is not an object") }
            return encoded(
                try change(type, id, options) { current throws(APIError) in
                    StrategicMerge(type).merge(patch, into: current)
                },
                representation
            )
        case "application/json-patch+json":
            guard let operations = try body(request).array else { throw .badRequest("the JSON patch is not an array") }
            return encoded(
                try change(type, id, options) { current throws(APIError) in
                    guard let result = try? JSONPatch.apply(operations, to: .object(current)) else {
                        throw .rejectedPatch
                    }
                    return try Self.object(result)
                },
                representation
            )
        case "application/apply-patch+yaml":
            return try apply(request, type, id, options, representation)
        case _ where type.isCustom:
            throw APIError(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            )
        default: throw .unsupportedMediaType
        }
    }

    /// Server-side apply without ownership of fields: what is given is merged in, nothing is taken away, and nobody is
    /// in conflict. Only JSON, which is YAML too, is understood.
    private func apply(
        _ request: Request,
        _ type: ResourceType,
        _ id: ObjectID,
        _ options: WriteOptions,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        guard request.query["fieldManager"] ?? "" != "" else {
            throw .invalid(
                kind: "PatchOptions",
                group: "meta.k8s.io",
                "",
                [.required("fieldManager", "is required for apply patch")]
            )
        }
        guard let object = try body(request).object else { throw .badRequest("the object to apply is not an object") }
        do throws(APIError) {
            return encoded(
                try change(type, id, options) { current throws(APIError) in
                    StrategicMerge(type).merge(object, into: current)
                },
                representation
            )
        } catch {
            guard error.code == 404, !options.isStatus else { throw error }
            let namespace = type.isNamespaced ? id.namespace : nil
            let created = try create(object, type, namespace: namespace, options)
            return encoded(created, representation, status: 201)
        }
    }

    private func body(_ request: Request) throws(APIError) -> JSONValue {
        do throws(JSONReader.Failure) {
            return try JSONValue(parsing: request.body.span)
        } catch {
            throw .badRequest("error decoding patch: \(error)")
        }
    }

    private static func object(_ value: JSONValue) throws(APIError) -> JSONObject {
        guard let object = value.object else { throw .rejectedPatch }
        return object
    }
}
