import JSON

/// Serves requests: who asks, what for, and what comes back. No I/O; watches are only planned here.
struct APIService: Sendable {
    let options: TestAPIServer.Options
    let store: ObjectStore
    let registry: ResourceRegistry
    let access: AccessControl

    func reply(to request: Request) -> Reply {
        do throws(APIError) {
            let path = ResourcePath(request.path)
            try access.authorize(request.user, path: request.path, verb: verb(request, path))
            guard let path else { return .whole(try discovery(request)) }
            return try serve(request, path)
        } catch {
            let encoding = Representation(accept: request.accept, protobuf: true) ?? .json
            return .whole(.error(error, Representation(encoding: encoding.encoding)))
        }
    }

    /// As access rules name it.
    private func verb(_ request: Request, _ path: ResourcePath?) -> String {
        guard let path else { return request.method.lowercased() }
        switch request.method {
        case "GET", "HEAD":
            if path.isWatch || request.flag("watch") { return "watch" }
            return path.name == nil ? "list" : "get"
        case "POST": return "create"
        case "PUT": return "update"
        case "DELETE": return path.name == nil ? "deletecollection" : "delete"
        default: return request.method.lowercased()
        }
    }

    private func serve(_ request: Request, _ path: ResourcePath) throws(APIError) -> Reply {
        let type = try registry.find(path)
        if let subresource = path.subresource {
            guard subresource == "status", type.hasStatus else { throw .noResource }
        }
        let representation = try negotiate(request, type)
        var reply: WholeReply
        switch (request.method, path.name) {
        case ("GET", let name):
            if let name, !path.isWatch, !request.flag("watch") {
                reply = try get(type, path, name, representation)
            } else if path.isWatch || request.flag("watch") {
                return .watch(try watch(request, type, path, representation))
            } else {
                reply = try list(request, type, path, representation)
            }
        case ("POST", nil): reply = try create(request, type, path, representation)
        case ("PUT", let name?): reply = try update(request, type, path, name, representation)
        case ("PATCH", let name?): reply = try patch(request, type, path, name, representation)
        case ("DELETE", let name?) where path.subresource == nil:
            reply = try delete(request, type, path, name, representation)
        case ("DELETE", nil) where type != .namespaces:
            reply = try deleteCollection(request, type, path, representation)
        default: throw .methodNotAllowed
        }
        if type == .endpoints {
            reply.headers.append(
                ("Warning", #"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#)
            )
        }
        return .whole(reply)
    }

    private func negotiate(_ request: Request, _ type: ResourceType) throws(APIError) -> Representation {
        if let found = Representation(accept: request.accept, protobuf: ProtobufSchema.of(type) != nil) { return found }
        let types = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        if type.isCustom {
            throw APIError(406, "NotAcceptable", "only the following media types are accepted: \(types)")
        }
        throw APIError(
            406,
            "NotAcceptable",
            "406: Not Acceptable\n\nAvailable representations: \(types), application/json;stream=watch, "
                + "application/vnd.kubernetes.protobuf;stream=watch",
            details: JSONObject()
        )
    }

    /// One object as a response.
    func encoded(_ object: StoredObject, _ representation: Representation, status: Int = 200) -> WholeReply {
        switch representation.form {
        case .table: return .json(Table.table([object], JSONObject(), now: .now), status: status)
        case .metadata: return .json(object.metadataOnly, status: status)
        default: break
        }
        if representation.encoding == .protobuf, let message = object.protobuf {
            return WholeReply(
                status: status,
                contentType: representation.contentType,
                body: ProtobufWriter.envelope(message, apiVersion: object.type.apiVersion, kind: object.type.kind)
            )
        }
        return WholeReply(status: status, body: object.json + [UInt8(ascii: "\n")])
    }
}

extension StoredObject {
    /// The object as PartialObjectMetadata.
    var metadataOnly: JSONObject {
        JSONObject([
            ("kind", "PartialObjectMetadata"), ("apiVersion", "meta.k8s.io/v1"),
            ("metadata", tree["metadata"] ?? .object(JSONObject())),
        ])
    }
}
