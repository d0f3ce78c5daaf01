import JSON

extension APIService {
    func get(
        _ type: ResourceType,
        _ path: ResourcePath,
        _ name: String,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        guard let object = store.get(type, ObjectID(namespace: path.namespace ?? "", name: name)) else {
            throw .notFound(type, name)
        }
        return encoded(object, representation)
    }

    func list(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        let selection = try selection(request, type, path)
        if request.query["sendInitialEvents"] != nil {
            throw Self.invalidOptions([.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")])
        }
        guard let limit = Int(request.query["limit"].map { $0.isEmpty ? "0" : $0 } ?? "0"), limit >= 0 else {
            throw .badRequest("strconv.ParseInt: parsing \"\(request.query["limit"] ?? "")\": invalid syntax")
        }
        var at: UInt64?
        var after: ObjectID?
        let wanted = try resourceVersion(request)
        if let text = request.query["continue"], !text.isEmpty {
            guard wanted ?? 0 == 0 else {
                throw .badRequest("specifying resource version is not allowed when using continue")
            }
            let token = try ContinueToken(text, namespace: path.namespace)
            (at, after) = (token.revision, token.after)
        } else if let wanted {
            let current = store.revision
            guard wanted <= current else { throw .tooLarge(wanted, current: current) }
            switch request.query["resourceVersionMatch"] {
            case "Exact":
                guard wanted > 0 else {
                    throw Self.invalidOptions([
                        .forbidden(
                            "resourceVersionMatch",
                            "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\""
                        )
                    ])
                }
                at = wanted
            // A list with a limit and a version, but no match, is exact too.
            case nil,
                "" where wanted > 0 && limit > 0:
                at = wanted > 0 && limit > 0 ? wanted : nil
            default: break
            }
        } else if let match = request.query["resourceVersionMatch"], !match.isEmpty {
            throw Self.invalidOptions([
                .forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided"
                )
            ])
        }

        let page: ObjectStore.Page
        do throws(ObjectStore.Expired) {
            page = try store.list(
                type,
                namespace: path.namespace,
                after: after,
                limit: limit,
                at: at,
                where: selection.matches
            )
        } catch {
            guard let after else { throw .tooOld() }
            throw .expired(ContinueToken(revision: nil, after: after).text(namespace: path.namespace))
        }
        var metadata = JSONObject([("resourceVersion", .string(String(page.revision)))])
        // Custom resources say it even when it is empty.
        if type.isCustom {
            metadata = JSONObject([("continue", ""), ("resourceVersion", .string(String(page.revision)))])
        }
        if page.remaining > 0, let last = page.objects.last {
            let token = ContinueToken(revision: page.revision, after: last.id)
            metadata["continue"] = .string(token.text(namespace: path.namespace))
            if !selection.hasSelector { metadata["remainingItemCount"] = .number(page.remaining) }
        }
        return encoded(page.objects, metadata, type, representation)
    }

    private func encoded(
        _ objects: [StoredObject],
        _ metadata: JSONObject,
        _ type: ResourceType,
        _ representation: Representation
    ) -> WholeReply {
        switch representation.form {
        case .table: return .json(Table.table(objects, metadata, now: .now, of: type))
        case .metadata:
            return .json(
                JSONObject([
                    ("kind", "PartialObjectMetadataList"), ("apiVersion", "meta.k8s.io/v1"),
                    ("metadata", .object(metadata)), ("items", .array(objects.map { .object($0.metadataOnly) })),
                ])
            )
        default: break
        }
        if representation.encoding == .protobuf {
            let list = ProtobufWriter.list(metadata, objects.compactMap(\.protobuf))
            return WholeReply(
                contentType: representation.contentType,
                body: ProtobufWriter.envelope(list, apiVersion: type.apiVersion, kind: "\(type.kind)List")
            )
        }
        var body: [UInt8] = []
        body.reserveCapacity(objects.reduce(256) { $0 + $1.item.count + 1 })
        let metadata = JSONValue.object(metadata).text()
        if type.isCustom {
            body += #"{"apiVersion":"\#(type.apiVersion)","items":["#.utf8
        } else {
            body +=
                #"{"kind":"\#(type.kind)List","apiVersion":"\#(type.apiVersion)","metadata":\#(metadata),"items":["#
                .utf8
        }
        for (index, object) in objects.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body += object.item
        }
        body += (type.isCustom ? #"],"kind":"\#(type.kind)List","metadata":\#(metadata)}"# : "]}").utf8
        body.append(UInt8(ascii: "\n"))
        return WholeReply(body: body)
    }
}

extension APIError {
    static func expired(_ continueToken: String) -> APIError {
        APIError(
            410,
            "Expired",
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
                + "without the continue parameter, or use the continue token in this response to retrieve the "
                + "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                + "objects that were created, modified, or deleted between the time the first chunk was returned and "
                + "now may show up in the list.",
            continueToken: continueToken
        )
    }
}
