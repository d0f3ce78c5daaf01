import ClusterClient
import KubernetesClient

/// A request that failed, in the words of a store.
struct RequestFailure {
    private let cause: KubernetesError
    private let request: ResourceRequest

    init(_ cause: KubernetesError, _ request: ResourceRequest) {
        self.cause = cause
        self.request = request
    }

    /// The object does not exist, or is not in the state that the request is for.
    var isConflict: Bool { cause.reason == .conflict || cause.reason == .alreadyExists }
    /// The state of a list, or of a watch, is forgotten (410).
    var isExpired: Bool { cause.reason == .expired }

    /// The object does not exist, but others of its kind could: the server says which one is missing. Of a resource that it
    /// does not serve at all it says nothing but 404.
    var isMissingObject: Bool { cause.reason == .notFound && cause.status?.details?.name != nil }

    var error: DatastoreError { error(of: nil) }

    func error(of key: RecordKey?) -> DatastoreError {
        switch cause.reason {
        case .conflict: DatastoreError(.conflict, key, "was written since it was read")
        case .alreadyExists: DatastoreError(.alreadyExists, key, "exists already")
        case .notFound where isMissingObject: DatastoreError(.notFound, key, "does not exist")
        case .notFound: DatastoreError(.failed, key, missingKind)
        case .forbidden:
            DatastoreError(
                .failed,
                key,
                "may not \(verb) \(place): grant the verb \"\(verb)\" on \"\(rule)\" to our account in a ClusterRole"
                    + " (the API server: \(cause.message))"
            )
        case .unauthorized:
            DatastoreError(.failed, key, "the API server does not know our credentials: \(cause.message)")
        case .tooManyRequests, .unavailable, .expired:
            DatastoreError(.unavailable, key, "the API server does not \(verb) \(place): \(cause.message)")
        case .transport(let reason):
            switch reason {
            case .unreachable, .timeout, .cut, .malformed, .tooLarge, .cancelled:
                DatastoreError(.unavailable, key, cause.message)
            case .configuration, .handshake:
                DatastoreError(.failed, key, cause.message)
            }
        default:
            DatastoreError(.failed, key, "the API server refused to \(verb) \(place): \(cause.message)")
        }
    }

    private var missingKind: String {
        "the API server does not know \(rule): Calico's custom resource definitions are not installed, or not all of them. "
            + "Install those of Calico's release with kubectl (manifests/crds.yaml)"
    }

    /// As RBAC calls it.
    private var verb: String {
        switch request.method {
        case .POST: "create"
        case .PUT: "update"
        case .PATCH: "patch"
        case .DELETE: "delete"
        default: request.name == nil ? (request.query.contains { $0.0 == "watch" } ? "watch" : "list") : "get"
        }
    }

    /// `ipamblocks.crd.projectcalico.org`, `pods/status`.
    private var rule: String {
        let resource = request.resource
        let plural = resource.group.isEmpty ? resource.plural : "\(resource.plural).\(resource.group)"
        return request.subresource.map { "\(plural)/\($0)" } ?? plural
    }

    private var place: String { request.name.map { "\(rule) \($0)" } ?? rule }
}
