import JSON
import NIOCore
import NIOHTTP1

/// Which state of an object a deletion is for.
public struct Preconditions: Hashable, Sendable {
    public var uid: String?
    public var resourceVersion: String?

    public init(uid: String? = nil, resourceVersion: String? = nil) {
        self.uid = uid
        self.resourceVersion = resourceVersion
    }
}

/// How a patch is meant.
public enum PatchKind: Hashable, Sendable {
    /// RFC 7386; for every kind of object.
    case merge
    /// Lists are merged by their keys; not for custom resources.
    case strategicMerge
    /// RFC 6902
    case json
    /// Server-side apply. `isForced` takes fields from those who own them.
    case apply(fieldManager: String, isForced: Bool = false)

    var contentType: String {
        switch self {
        case .merge: "application/merge-patch+json"
        case .strategicMerge: "application/strategic-merge-patch+json"
        case .json: "application/json-patch+json"
        // JSON is YAML, and this is the older name of the two.
        case .apply: "application/apply-patch+yaml"
        }
    }

    var query: [(String, String)] {
        guard case .apply(let fieldManager, let isForced) = self else { return [] }
        return [("fieldManager", fieldManager)] + (isForced ? [("force", "true")] : [])
    }
}

/// Single objects and pages of lists, as JSON text.
///
/// What a request that changes something did is not known when it fails with ``KubernetesError/Reason/transport(_:)``,
/// other than `unreachable`: it is not sent a second time.
extension KubernetesClient {
    public func get(
        _ resource: APIResource,
        namespace: String? = nil,
        name: String
    ) async throws(KubernetesError) -> ByteBuffer {
        try await send(ResourceRequest(.GET, resource, namespace: namespace, name: name)).body
    }

    /// One page of a list.
    ///
    /// - Parameters:
    ///   - limit: the most objects of a page.
    ///   - continuation: what the page before had in `metadata.continue`; `nil` for the first.
    public func list(
        _ resource: APIResource,
        namespace: String? = nil,
        labelSelector: String? = nil,
        fieldSelector: String? = nil,
        limit: Int? = nil,
        continuation: String? = nil
    ) async throws(KubernetesError) -> ByteBuffer {
        var query: [(String, String)] = []
        if let labelSelector { query.append(("labelSelector", labelSelector)) }
        if let fieldSelector { query.append(("fieldSelector", fieldSelector)) }
        if let limit { query.append(("limit", String(limit))) }
        if let continuation { query.append(("continue", continuation)) }
        return try await send(ResourceRequest(.GET, resource, namespace: namespace, query: query)).body
    }

    /// - Returns: the object as it was made.
    public func create(
        _ resource: APIResource,
        namespace: String? = nil,
        _ object: ByteBuffer
    ) async throws(KubernetesError) -> ByteBuffer {
        try await send(Self.writing(.POST, resource, namespace: namespace, object)).body
    }

    /// Replaces the object that has the name, and the `resourceVersion` in its metadata if that is given.
    public func update(
        _ resource: APIResource,
        namespace: String? = nil,
        name: String,
        subresource: String? = nil,
        _ object: ByteBuffer
    ) async throws(KubernetesError) -> ByteBuffer {
        var request = Self.writing(.PUT, resource, namespace: namespace, object)
        request.name = name
        request.subresource = subresource
        return try await send(request).body
    }

    public func patch(
        _ resource: APIResource,
        namespace: String? = nil,
        name: String,
        subresource: String? = nil,
        _ kind: PatchKind,
        _ patch: ByteBuffer
    ) async throws(KubernetesError) -> ByteBuffer {
        var request = Self.writing(.PATCH, resource, namespace: namespace, patch)
        request.name = name
        request.subresource = subresource
        request.contentType = kind.contentType
        request.query = kind.query
        return try await send(request).body
    }

    /// - Returns: the Status of the deletion, or the object when it stays for its finalizers.
    @discardableResult
    public func delete(
        _ resource: APIResource,
        namespace: String? = nil,
        name: String,
        preconditions: Preconditions = Preconditions()
    ) async throws(KubernetesError) -> ByteBuffer {
        var options: JSONValue = ["apiVersion": "v1", "kind": "DeleteOptions"]
        var conditions = JSONObject()
        if let uid = preconditions.uid { conditions["uid"] = .string(uid) }
        if let version = preconditions.resourceVersion { conditions["resourceVersion"] = .string(version) }
        if !conditions.isEmpty, case .object(var object) = options {
            object["preconditions"] = .object(conditions)
            options = .object(object)
        }
        var request = Self.writing(.DELETE, resource, namespace: namespace, ByteBuffer(string: options.text()))
        request.name = name
        return try await send(request).body
    }

    /// Writes annotations through the status of a Pod, as Calico's plugin does: those who may change the status of a Pod
    /// need not be allowed to change the Pod.
    ///
    /// - Parameters:
    ///   - uid: the Pod that is meant; another of the same name is left alone, with a conflict.
    ///   - annotations: added, or set where they are; others stay.
    public func patchPodStatus(
        namespace: String,
        name: String,
        uid: String,
        annotations: [(key: String, value: String)]
    ) async throws(KubernetesError) -> ByteBuffer {
        let values = JSONObject(annotations.map { ($0.key, .string($0.value)) })
        let body: JSONValue = ["metadata": ["uid": .string(uid), "annotations": .object(values)]]
        return try await patch(
            .pods,
            namespace: namespace,
            name: name,
            subresource: "status",
            .strategicMerge,
            ByteBuffer(string: body.text())
        )
    }

    private static func writing(
        _ method: HTTPMethod,
        _ resource: APIResource,
        namespace: String?,
        _ body: ByteBuffer
    ) -> ResourceRequest {
        ResourceRequest(method, resource, namespace: namespace, contentType: ResourceRequest.json, body: body)
    }
}
