import FoundationEssentials
import JSON
import KubernetesAPI

extension TestAPIServer {
    /// Creates or replaces an object, from JSON with apiVersion and kind, without validation and defaults: what is given
    /// is what clients get, but for uid, creationTimestamp and resourceVersion. Returns its resourceVersion.
    @discardableResult
    public func put(_ json: String) throws -> String {
        let (type, object) = try parse(json)
        let metadata = object["metadata"]?.object ?? JSONObject()
        let id = ObjectID(namespace: metadata["namespace"]?.text ?? "", name: metadata["name"]?.text ?? "")
        guard !id.name.isEmpty else { throw TestAPIServerError("the \(type.kind) has no metadata.name") }
        guard type.isNamespaced != id.namespace.isEmpty else {
            throw TestAPIServerError(
                "\(type.kind) \(id.name) \(type.isNamespaced ? "needs a" : "has no") metadata.namespace"
            )
        }
        let stored = state.service.store.write(type, id) { view in
            var object = object
            object.update("metadata") { metadata in
                let old = view.current?.tree["metadata"]?.object
                metadata.setDefault("uid", old?["uid"] ?? .string(UUID().uuidString.lowercased()))
                metadata.setDefault(
                    "creationTimestamp",
                    old?["creationTimestamp"] ?? .string(Timestamp.now.wholeSecond.description)
                )
            }
            return .put(StoredObject(type, object, resourceVersion: view.revision))
        }
        if type == .customResourceDefinitions {
            for type in ResourceType.defined(by: object) { addCustomResource(type) }
        }
        return String(stored?.resourceVersion ?? 0)
    }

    /// Puts objects from text: a JSON object, a List of them, or one on each line.
    public func putAll(_ text: String) throws {
        let bytes = Array(text.utf8)
        let whole = try? JSONValue(parsing: bytes.span)
        let values =
            try whole.map { [$0] }
            ?? text.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8).span) }
        for value in values {
            let object = value.object
            let items = object?["kind"] == "List" ? object?["items"]?.array ?? [] : [value]
            for item in items { try put(item.text()) }
        }
    }

    /// Puts the objects of a list as they are, with uid and resourceVersion, and sets the resourceVersion of the whole
    /// store to at least that of the list. For a cluster that was recorded. Watches do not see it.
    public func restore(list json: String) throws {
        let (type, list) = try parse(json, isList: true)
        let version = list["metadata"]?.object?["resourceVersion"]?.text.flatMap { UInt64($0) } ?? 0
        let objects = (list["items"]?.array ?? []).compactMap(\.object).map { item in
            let own = item["metadata"]?.object?["resourceVersion"]?.text.flatMap { UInt64($0) }
            return StoredObject(type, item, resourceVersion: own ?? version)
        }
        state.service.store.restore(objects, revision: version)
    }

    private func parse(_ json: String, isList: Bool = false) throws -> (ResourceType, JSONObject) {
        guard case .object(let object) = try JSONValue(parsing: Array(json.utf8).span) else {
            throw TestAPIServerError("not a JSON object")
        }
        let apiVersion = object["apiVersion"]?.text ?? ""
        var kind = object["kind"]?.text ?? ""
        if isList, kind.hasSuffix("List") { kind.removeLast(4) }
        guard let type = state.service.registry.find(apiVersion: apiVersion, kind: kind) else {
            throw TestAPIServerError("the server has no \(apiVersion) \(kind)")
        }
        return (type, object)
    }

    /// Deletes an object at once, whatever finalizers it has; `false` when there was none.
    @discardableResult
    public func delete(_ resource: ResourceType, namespace: String? = nil, name: String) -> Bool {
        let id = ObjectID(namespace: namespace ?? "", name: name)
        return state.service.store.write(resource, id) { _ in .delete } != nil
    }

    /// An object as JSON, or `nil`.
    public func object(_ resource: ResourceType, namespace: String? = nil, name: String) -> String? {
        state.service.store.get(resource, ObjectID(namespace: namespace ?? "", name: name)).map {
            String(decoding: $0.json, as: UTF8.self)
        }
    }

    /// How many objects there are of a resource.
    public func count(_ resource: ResourceType) -> Int { state.service.store.count(resource) }

    /// The resourceVersion of the last write.
    public var resourceVersion: UInt64 { state.service.store.revision }

    /// Goes on with a resourceVersion that is at least this one, as if other objects had been written.
    public func advance(to resourceVersion: UInt64) { state.service.store.advance(to: resourceVersion) }

    /// Encodes all objects now, so that the first list is as fast as the next.
    public func encodeAll() {
        for type in state.service.registry.all {
            let page = try? state.service.store.list(type, namespace: nil) { _ in true }
            for object in page?.objects ?? [] { _ = object.protobuf }
        }
    }

    /// Forgets the history: resourceVersions before the present one expire.
    public func compact() { state.service.store.compact() }

    /// Serves another custom resource, as a CustomResourceDefinition would.
    public func addCustomResource(_ type: ResourceType) { state.service.registry.add(type) }
}
