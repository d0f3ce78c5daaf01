import FoundationEssentials
import JSON
import KubernetesAPI

/// What a write looks like apart from its object.
struct WriteOptions: Sendable {
    var isDryRun: Bool
    /// Of the path: the status alone is written.
    var isStatus: Bool

    init(_ request: Request, _ path: ResourcePath) {
        isDryRun = request.query["dryRun"] == "All"
        isStatus = path.subresource == "status"
    }
}

extension APIService {
    func create(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        guard !type.isNamespaced || path.namespace != nil else { throw .methodNotAllowed }
        var object = try self.object(request, type)
        let warnings = try checkFields(request, type, &object)
        let created = try create(object, type, namespace: path.namespace, WriteOptions(request, path))
        var reply = encoded(created, representation, status: 201)
        reply.headers += warnings
        return reply
    }

    func create(
        _ object: JSONObject,
        _ type: ResourceType,
        namespace: String?,
        _ options: WriteOptions
    ) throws(APIError) -> StoredObject {
        var object = object
        var metadata = object["metadata"]?.object ?? JSONObject()
        if metadata["name"] == nil, let prefix = metadata["generateName"]?.text, !prefix.isEmpty {
            let letters = Array("bcdfghjklmnpqrstvwxz2456789")
            metadata["name"] = .string(prefix + String((0..<5).map { _ in letters.randomElement() ?? "x" }))
        }
        guard let name = metadata["name"]?.text, !name.isEmpty else {
            let cause = APIError.Cause.required("metadata.name", "name or generateName is required")
            throw .invalid(type, "", [cause])
        }
        if let version = metadata["resourceVersion"]?.text, !version.isEmpty {
            throw APIError(500, "Unknown", "resourceVersion should not be set on objects to be created")
        }
        try place(&metadata, type, namespace)
        if self.options.requiresNamespaces, let namespace,
            store.get(.namespaces, ObjectID(namespace: "", name: namespace)) == nil
        {
            throw .notFound(.namespaces, namespace)
        }
        metadata["uid"] = .string(UUID().uuidString.lowercased())
        metadata["creationTimestamp"] = .string(Timestamp.now.wholeSecond.description)
        metadata["generation"] = type.hasGeneration ? 1 : nil
        metadata["deletionTimestamp"] = nil
        object["metadata"] = .object(metadata)
        if type.hasStatus, type != .customResourceDefinitions { object["status"] = type.initialStatus }
        if type == .customResourceDefinitions { object["status"] = Self.established(object) }

        let id = ObjectID(namespace: type.isNamespaced ? namespace ?? "" : "", name: name)
        var result: StoredObject?
        let stored = try store.write(type, id) { view throws(APIError) in
            guard view.current == nil else { throw .alreadyExists(type, name) }
            var object = object
            try Self.applyDefaults(&object, type, id, view)
            let new = StoredObject(type, object, resourceVersion: options.isDryRun ? 0 : view.revision)
            result = new
            return options.isDryRun ? .keep : .put(new)
        }
        if type == .customResourceDefinitions, !options.isDryRun {
            for type in ResourceType.defined(by: object) { registry.add(type) }
        }
        guard let result = stored ?? result else { throw .notFound(type, name) }
        return result
    }

    func update(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ name: String,
        _ representation: Representation
    ) throws(APIError) -> WholeReply {
        var object = try self.object(request, type)
        let warnings = try checkFields(request, type, &object)
        guard let given = object["metadata"]?.object?["name"]?.text, given == name else {
            throw .badRequest(
                "the name of the object (\(object["metadata"]?.object?["name"]?.text ?? "")) does not match the name "
                    + "on the URL (\(name))"
            )
        }
        let options = WriteOptions(request, path)
        let id = ObjectID(namespace: path.namespace ?? "", name: name)
        var metadata = object["metadata"]?.object ?? JSONObject()
        try place(&metadata, type, path.namespace)
        object["metadata"] = .object(metadata)
        let sent = object
        var reply = encoded(
            try change(type, id, options) { current throws(APIError) in
                if metadata["resourceVersion"]?.text ?? "" == "", !type.allowsUnconditionalUpdate {
                    let cause = APIError.Cause.invalid(
                        "metadata.resourceVersion",
                        "0",
                        "must be specified for an update"
                    )
                    throw .invalid(type, name, [cause])
                }
                return sent
            },
            representation
        )
        reply.headers += warnings
        return reply
    }

    /// Changes an object that exists, with all that is the same for updates and patches: the checks of its version, what
    /// a client cannot change, and the end of an object that has lost its last finalizer.
    func change(
        _ type: ResourceType,
        _ id: ObjectID,
        _ options: WriteOptions,
        _ change: (JSONObject) throws(APIError) -> JSONObject
    ) throws(APIError) -> StoredObject {
        var dry: StoredObject?
        let stored = try store.write(type, id) { view throws(APIError) in
            guard let current = view.current else { throw .notFound(type, id.name) }
            let old = current.tree
            let new = try Self.merged(try change(old), over: old, current, options)
            var object = new
            if !options.isStatus { try Self.applyDefaults(&object, type, id, view) }
            let same = StoredObject(type, object, resourceVersion: current.resourceVersion)
            if same.item == current.item { return .keep }
            let result = StoredObject(type, object, resourceVersion: view.revision)
            dry = result
            if options.isDryRun { return .keep }
            let metadata = object["metadata"]?.object
            if metadata?["deletionTimestamp"] != nil, metadata?["finalizers"]?.array ?? [] == [] { return .delete }
            return .put(result)
        }
        guard let result = options.isDryRun ? dry ?? stored : stored else { throw .notFound(type, id.name) }
        return result
    }

    /// What is stored of an object that a client sends.
    private static func merged(
        _ sent: JSONObject,
        over old: JSONObject,
        _ current: StoredObject,
        _ options: WriteOptions
    ) throws(APIError) -> JSONObject {
        let type = current.type
        let name = current.id.name
        var metadata = sent["metadata"]?.object ?? JSONObject()
        let oldMetadata = old["metadata"]?.object ?? JSONObject()
        if let uid = metadata["uid"]?.text, !uid.isEmpty, uid != current.uid {
            throw .conflict(
                type,
                name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(current.uid)"
            )
        }
        if let version = metadata["resourceVersion"]?.text, !version.isEmpty {
            guard let number = UInt64(version) else {
                let cause = APIError.Cause.invalid(
                    "metadata.resourceVersion",
                    "\"\(version)\"",
                    "strconv.ParseUint: parsing \"\(version)\": invalid syntax"
                )
                throw .invalid(type, name, [cause])
            }
            guard number == current.resourceVersion else { throw .modified(type, name) }
        }
        var object = sent
        if options.isStatus {
            object = old
            object["status"] = sent["status"]
            // Of the metadata a built-in kind takes labels and annotations with its status, a custom one nothing.
            metadata = type.isCustom ? oldMetadata : metadata
        } else if type.hasStatus {
            object["status"] = old["status"]
        }
        for key in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            metadata[key] = oldMetadata[key]
        }
        if let namespace = oldMetadata["namespace"] { metadata["namespace"] = namespace }
        metadata["name"] = oldMetadata["name"]
        if type.hasGeneration, let generation = oldMetadata["generation"]?.integer, !options.isStatus,
            object.withoutMetadataAndStatus(type) != old.withoutMetadataAndStatus(type)
        {
            metadata["generation"] = .number(generation + 1)
        }
        object["metadata"] = .object(metadata)
        return object
    }

    private static func applyDefaults(
        _ object: inout JSONObject,
        _ type: ResourceType,
        _ id: ObjectID,
        _ view: ObjectStore.View
    ) throws(APIError) {
        switch type {
        case .services:
            var spec = object["spec"]?.object ?? JSONObject()
            try ServiceDefaults.complete(&spec, id.name, previous: view.current?.tree["spec"]?.object) {
                view.holder(of: $0).map { $0 != id } ?? false
            }
            object["spec"] = .object(spec)
        case .endpointSlices:
            let ports = (object["ports"]?.array ?? []).map { port -> JSONValue in
                guard var port = port.object else { return port }
                port.setDefault("name", "")
                port.setDefault("protocol", "TCP")
                return .object(port)
            }
            object["ports"] = ports.isEmpty ? nil : .array(ports)
            guard ["IPv4", "IPv6", "FQDN"].contains(object["addressType"]) else {
                let cause = APIError.Cause(
                    reason: "FieldValueNotSupported",
                    field: "addressType",
                    message: "Unsupported value: \"\(object["addressType"]?.text ?? "")\": supported values: \"FQDN\", "
                        + "\"IPv4\", \"IPv6\""
                )
                throw .invalid(type, id.name, [cause])
            }
        default: break
        }
    }

    /// Puts the namespace of the path into the metadata.
    private func place(
        _ metadata: inout JSONObject,
        _ type: ResourceType,
        _ namespace: String?
    ) throws(APIError) {
        guard type.isNamespaced, let namespace else {
            metadata["namespace"] = nil
            return
        }
        if let given = metadata["namespace"]?.text, !given.isEmpty, given != namespace {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        }
        metadata["namespace"] = .string(namespace)
    }

    /// The object in a request's body.
    private func object(_ request: Request, _ type: ResourceType) throws(APIError) -> JSONObject {
        guard ["", "application/json"].contains(request.contentType) else { throw .unsupportedMediaType }
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: request.body.span)
        } catch {
            // Go's words for the commonest failure; ours for others.
            let reason =
                error.reason.hasPrefix("unexpected end") ? "unexpected end of JSON input" : String(describing: error)
            throw unrecognized(request, type, reason)
        }
        guard case .object(let object) = value else {
            throw unrecognized(request, type, "cannot unmarshal \(value.noun) into an object")
        }
        let kind = object["kind"]?.text ?? type.kind
        let version = object["apiVersion"]?.text ?? type.apiVersion
        guard kind == type.kind, version == type.apiVersion else {
            let shortVersion = version.split(separator: "/").last.map(String.init) ?? version
            let group = type.group.isEmpty ? "core" : type.group.split(separator: ".").first.map(String.init) ?? ""
            throw .badRequest(
                "\(kind) in version \"\(shortVersion)\" cannot be handled as a \(type.kind): converting "
                    + "(\(shortVersion).\(kind)) to (\(group).\(type.kind)): unknown conversion"
            )
        }
        if let metadata = object["metadata"], metadata.object == nil {
            throw .badRequest(
                "\(type.kind) in version \"\(type.version)\" cannot be handled as a \(type.kind): json: cannot "
                    + "unmarshal \(metadata.noun) into Go struct field \(type.kind).metadata of type v1.ObjectMeta"
            )
        }
        return object
    }

    private func unrecognized(_ request: Request, _ type: ResourceType, _ reason: String) -> APIError {
        let text = String(decoding: request.body.prefix(200), as: UTF8.self)
        return .badRequest(
            "the object provided is unrecognized (must be of type \(type.kind)): couldn't get version/kind; json parse "
                + "error: \(reason) (\(text))"
        )
    }

    private static func established(_ definition: JSONObject) -> JSONValue {
        let now = JSONValue.string(Timestamp.now.wholeSecond.description)
        func condition(_ type: JSONValue, _ reason: JSONValue, _ message: JSONValue) -> JSONValue {
            ["type": type, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message]
        }
        let spec = definition["spec"]?.object
        let versions = (spec?["versions"]?.array ?? []).compactMap { $0.object?["name"] }
        return [
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "acceptedNames": spec?["names"] ?? .null,
            "storedVersions": .array(versions),
        ]
    }
}

extension ResourceType {
    /// Whether the server counts the changes of what is wanted.
    var hasGeneration: Bool {
        isCustom || [.endpointSlices, .pods, .customResourceDefinitions, .networkPolicies].contains(self)
    }

    /// Whether an update may come without a resourceVersion.
    var allowsUnconditionalUpdate: Bool { !isCustom && self != .leases && self != .customResourceDefinitions }

    /// What a new object has, whatever the client says.
    var initialStatus: JSONValue? {
        switch self {
        case .services: ["loadBalancer": [:]]
        case .namespaces: ["phase": "Active"]
        case .pods: ["phase": "Pending"]
        case .nodes, .serviceCIDRs: [:]
        default: nil
        }
    }
}

extension JSONObject {
    fileprivate func withoutMetadataAndStatus(_ type: ResourceType) -> JSONObject {
        var object = self
        object["metadata"] = nil
        if type.hasStatus { object["status"] = nil }
        return object
    }
}
