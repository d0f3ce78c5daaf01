import JSON
import KubernetesAPI

extension APIService {
    func delete(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ name: String,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        let options = try deleteOptions(request)
        let preconditions = options["preconditions"]?.object
        let dryRun = request.query["dryRun"] == "All" || options["dryRun"]?.array?.contains("All") == true
        let id = ObjectID(namespace: path.namespace ?? "", name: name)
        let outcome = try delete(type, id, preconditions, dryRun)
        // Services and whatever stays for its finalizers are answered with the object, the rest with a Status.
        if !outcome.isGone || type == .services || type == .pods { return encoded(outcome.object, representation) }
        var details = JSONObject([("name", .string(name))])
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        details["kind"] = .string(type.plural)
        details["uid"] = .string(outcome.object.uid)
        let status = JSONObject([
            ("kind", "Status"), ("apiVersion", "v1"), ("metadata", .object(JSONObject())), ("status", "Success"),
            ("details", .object(details)),
        ])
        guard representation.encoding == .protobuf else { return .json(status) }
        return WholeReply(
            contentType: representation.contentType,
            body: ProtobufWriter.envelope(
                ProtobufWriter.message(status, .status),
                apiVersion: "v1",
                kind: "Status"
            )
        )
    }

    private func delete(
        _ type: ResourceType,
        _ id: ObjectID,
        _ preconditions: JSONObject?,
        _ dryRun: Bool
    ) throws(APIError) -> (object: StoredObject, isGone: Bool) {
        var before: StoredObject?
        var isGone = true
        let stored = try store.write(type, id) { view throws(APIError) in
            guard let current = view.current else { throw .notFound(type, id.name) }
            before = current
            try Self.check(preconditions, current)
            var object = current.tree
            var metadata = object["metadata"]?.object ?? JSONObject()
            guard metadata["finalizers"]?.array ?? [] != [] else { return dryRun ? .keep : .delete }
            isGone = false
            if metadata["deletionTimestamp"] != nil || dryRun { return .keep }
            metadata["deletionTimestamp"] = .string(Timestamp.now.wholeSecond.description)
            metadata["deletionGracePeriodSeconds"] = 0
            if let generation = metadata["generation"]?.integer { metadata["generation"] = .number(generation + 1) }
            object["metadata"] = .object(metadata)
            return .put(StoredObject(type, object, resourceVersion: view.revision))
        }
        guard let object = stored ?? before else { throw .notFound(type, id.name) }
        if isGone, !dryRun, type == .customResourceDefinitions { undefine(object.tree) }
        return (object, isGone)
    }

    private static func check(_ preconditions: JSONObject?, _ current: StoredObject) throws(APIError) {
        if let uid = preconditions?["uid"]?.text, uid != current.uid {
            throw .precondition(
                current.type,
                current.id.name,
                "the UID in the precondition (\(uid)) does not match the UID in record (\(current.uid)). The object "
                    + "might have been deleted and then recreated"
            )
        }
        if let version = preconditions?["resourceVersion"]?.text, version != String(current.resourceVersion) {
            throw .precondition(
                current.type,
                current.id.name,
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record "
                    + "(\(current.resourceVersion)). The object might have been modified"
            )
        }
    }

    func deleteCollection(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        let preconditions = try deleteOptions(request)["preconditions"]?.object
        let reply = try list(request, type, path, representation)
        let selection = try selection(request, type, path)
        let page = try? store.list(type, namespace: path.namespace, where: selection.matches)
        for object in page?.objects ?? [] {
            do throws(APIError) {
                _ = try delete(type, object.id, preconditions, request.query["dryRun"] == "All")
            } catch {
                // Somebody else was faster, which is all the same.
                guard error.code == 404 else { throw error }
            }
        }
        return reply
    }

    private func deleteOptions(_ request: Request) throws(APIError) -> JSONObject {
        if request.body.isEmpty { return JSONObject() }
        guard ["", "application/json"].contains(request.contentType) else { throw .unsupportedMediaType }
        guard let options = try? JSONValue(parsing: request.body.span).object else {
            throw .badRequest("couldn't get version/kind; json parse error: DeleteOptions")
        }
        return options
    }

    /// Takes custom resources away with their definition.
    private func undefine(_ definition: JSONObject) {
        for type in ResourceType.defined(by: definition) {
            let page = try? store.list(type, namespace: nil) { _ in true }
            for object in page?.objects ?? [] { _ = store.write(type, object.id) { _ in .delete } }
            registry.remove(type)
        }
    }
}
