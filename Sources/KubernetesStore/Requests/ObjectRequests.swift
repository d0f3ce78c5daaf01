import ClusterClient
import FoundationEssentials
import JSON
import KubernetesClient
import NIOCore
import NIOHTTP1

/// The requests that this store makes, with the errors of a store.
struct ObjectRequests: Sendable {
    let client: KubernetesClient
    let api: CalicoAPI

    /// How long one request may take, unless ``RequestDeadline`` comes first.
    private static let timeout = Duration.seconds(8)

    func resource(_ kind: CalicoKind) -> APIResource {
        APIResource(group: api.group, version: api.version, plural: kind.plural(api), isNamespaced: false)
    }

    // MARK: One object

    /// `nil` when there is none.
    func get(_ kind: CalicoKind, _ name: String) async throws(DatastoreError) -> CustomObject? {
        try await get(resource(kind), namespace: nil, name)
    }

    func node(_ name: String) async throws(DatastoreError) -> CustomObject? {
        try await get(.nodes, namespace: nil, name)
    }

    func pod(_ namespace: String, _ name: String) async throws(DatastoreError) -> CustomObject? {
        try await get(.pods, namespace: namespace, name)
    }

    func namespace(_ name: String) async throws(DatastoreError) -> CustomObject? {
        try await get(.namespaces, namespace: nil, name)
    }

    private func get(
        _ resource: APIResource,
        namespace: String?,
        _ name: String
    ) async throws(DatastoreError) -> CustomObject? {
        // What no object can be called is not asked for.
        guard ObjectNames.isName(name) else { return nil }
        let request = request(.GET, resource, namespace: namespace, name)
        return try await send(request) { (failure) throws(DatastoreError) in
            guard failure.isMissingObject else { throw failure.error }
        }
    }

    /// `nil` when the name is taken.
    func create(_ kind: CalicoKind, _ key: RecordKey, _ object: JSONObject) async throws(DatastoreError)
        -> CustomObject?
    {
        let request = request(.POST, resource(kind), body: .object(object))
        return try await send(request) { (failure) throws(DatastoreError) in
            guard failure.isConflict else { throw failure.error(of: key) }
        }
    }

    /// Writes an object over the one that its metadata names by `uid` and `resourceVersion`.
    func replace(_ kind: CalicoKind, _ key: RecordKey, _ object: JSONObject) async throws(DatastoreError)
        -> CustomObject
    {
        let name = object.object("metadata").string("name") ?? ""
        let request = request(.PUT, resource(kind), name, body: .object(object))
        let written = try await send(request) { (failure) throws(DatastoreError) in throw failure.error(of: key) }
        guard let written else { throw DatastoreError(.conflict, key, "was written since it was read") }
        return written
    }

    /// Deletes just this object in just this state.
    func delete(_ kind: CalicoKind, _ key: RecordKey, _ object: CustomObject) async throws(DatastoreError) {
        let options: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": ["uid": .string(object.uid), "resourceVersion": .string(object.resourceVersion)],
        ]
        let failure = await failure(of: request(.DELETE, resource(kind), object.name, body: options))
        if let failure { throw failure.error(of: key) }
    }

    /// The second half of a soft deletion (K2). What goes wrong is left to the next who meets the object.
    func finishDeletion(_ kind: CalicoKind, _ object: CustomObject) async {
        try? await delete(kind, .handle(object.name), object)
    }

    /// `nil` when the Pod is not the one, or not in the state, that the patch is for.
    func patchPodStatus(
        _ key: RecordKey,
        _ namespace: String,
        _ name: String,
        _ patch: JSONValue
    ) async throws(DatastoreError) -> CustomObject? {
        var request = request(.PATCH, .pods, namespace: namespace, name, body: patch)
        request.subresource = "status"
        request.contentType = "application/merge-patch+json"
        return try await send(request) { (failure) throws(DatastoreError) in
            guard failure.isConflict else { throw failure.error(of: key) }
        }
    }

    // MARK: Lists

    /// Goes over the objects of a kind, page by page.
    ///
    /// - Parameter restart: is called when the list has to begin again, as a page came too late.
    func list(
        _ kind: CalicoKind,
        selector: String?,
        restart: () -> Void,
        _ each: (CustomObject) throws(DatastoreError) -> Void
    ) async throws(DatastoreError) {
        let query = selector.map { [("labelSelector", $0)] } ?? []
        try await list(resource(kind), query: query, pageSize: kind.pageSize, restart: restart) {
            (value) throws(DatastoreError) in try each(object(value, resource(kind)))
        }
    }

    /// Goes over the names of the objects of a kind, which is less to send.
    func listNames(
        _ kind: CalicoKind,
        restart: () -> Void,
        _ each: (String) -> Void
    ) async throws(DatastoreError) {
        let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        try await list(resource(kind), pageSize: 500, accept: accept, restart: restart) {
            value throws(DatastoreError) in
            each(try object(value, resource(kind)).name)
        }
    }

    func nodes(_ each: (CustomObject) throws(DatastoreError) -> Void) async throws(DatastoreError) {
        var seen: [CustomObject] = []
        try await list(.nodes, pageSize: 200, restart: { seen = [] }) { value throws(DatastoreError) in
            seen.append(try object(value, .nodes))
        }
        for node in seen { try each(node) }
    }

    /// - Parameter node: only Pods of this node.
    func pods(
        namespace: String?,
        node: String?,
        restart: () -> Void,
        _ each: (CustomObject) -> Void
    ) async throws(DatastoreError) {
        let query = node.map { [("fieldSelector", "spec.nodeName=\($0)")] } ?? []
        try await list(.pods, namespace: namespace, query: query, pageSize: 200, restart: restart) {
            (value) throws(DatastoreError) in each(try object(value, .pods))
        }
    }

    /// Returns the state that the list is of.
    @discardableResult
    func list(
        _ resource: APIResource,
        namespace: String? = nil,
        query: [(String, String)] = [],
        pageSize: Int,
        accept: String = "application/json",
        restart: () -> Void,
        _ each: (JSONValue) throws(DatastoreError) -> Void
    ) async throws(DatastoreError) -> String {
        var continuation = ""
        var restarts = 0
        while true {
            var request = request(.GET, resource, namespace: namespace)
            request.accept = accept
            request.query = query + [("limit", String(pageSize))]
            if !continuation.isEmpty { request.query.append(("continue", continuation)) }
            let body: ByteBuffer
            do throws(KubernetesError) {
                body = try await client.send(request).body
            } catch {
                let failure = RequestFailure(error, request)
                // The state that the list is of is forgotten: all of it again, of the present one.
                guard failure.isExpired, restarts < 3 else { throw failure.error }
                restarts += 1
                continuation = ""
                restart()
                continue
            }
            let page = try ObjectPage(body.readableBytesUInt8Span, of: resource.plural, each)
            guard !page.continuation.isEmpty else { return page.resourceVersion }
            continuation = page.continuation
        }
    }

    func watch(_ resource: APIResource, namespace: String?, query: [(String, String)]) -> ResourceRequest {
        var request = request(.GET, resource, namespace: namespace)
        request.query = query
        return request
    }

    // MARK: Sending

    private func request(
        _ method: HTTPMethod,
        _ resource: APIResource,
        namespace: String? = nil,
        _ name: String? = nil,
        body: JSONValue? = nil
    ) -> ResourceRequest {
        var request = ResourceRequest(method, resource, namespace: namespace, name: name)
        request.accept = "application/json"
        request.timeout = Self.timeout
        if let body {
            var writer = JSONWriter()
            writer.value(body)
            request.body = ByteBuffer(bytes: writer.bytes)
            request.contentType = "application/json"
        }
        return request
    }

    /// The object that the server answers with; `nil` when `handle` takes the failure for an answer.
    private func send(
        _ request: ResourceRequest,
        _ handle: (RequestFailure) throws(DatastoreError) -> Void
    ) async throws(DatastoreError) -> CustomObject? {
        let body: ByteBuffer
        do throws(KubernetesError) {
            body = try await client.send(request).body
        } catch {
            try handle(RequestFailure(error, request))
            return nil
        }
        do throws(MalformedObject) {
            return try CustomObject(parsing: body.readableBytesUInt8Span)
        } catch {
            // What was sent may have been done all the same.
            throw DatastoreError(
                .unavailable,
                "the API server's answer about \(request.resource.plural)/\(request.name ?? "") is unusable: \(error.reason)"
            )
        }
    }

    private func failure(of request: ResourceRequest) async -> RequestFailure? {
        do throws(KubernetesError) {
            _ = try await client.send(request)
            return nil
        } catch {
            return RequestFailure(error, request)
        }
    }

    func object(_ value: JSONValue, _ resource: APIResource) throws(DatastoreError) -> CustomObject {
        do throws(MalformedObject) {
            return try CustomObject(value)
        } catch {
            throw DatastoreError(.corrupt, "an object in the list of \(resource.plural) is damaged: \(error.reason)")
        }
    }
}
