import CNI
import ClusterClient
import IPAM
import Netlink
import PodNetwork

extension CNIError {
    /// For what comes out of a sequence of calls to the store and to IPAM.
    init(any error: any Error) {
        switch error {
        case let error as DatastoreError: self.init(error)
        case let error as IPAMError: self.init(error)
        case let error as CNIError: self = error
        default: self.init(.internal, "\(error)")
        }
    }

    /// What a runtime is told of a store that failed (3.2).
    init(_ error: DatastoreError) {
        let code: Code =
            switch error.reason {
            case .unavailable, .conflict, .alreadyExists, .notFound: .tryAgainLater
            case .corrupt: .decodingFailure
            case .failed: .ioFailure
            case .invalidKey: .invalidConfiguration
            }
        self.init(code, "the store failed", details: error.description)
    }
}

extension CNIError {
    /// What a runtime is told of addresses that could not be had or given back.
    init(_ error: IPAMError) {
        switch error {
        case .poolExhausted(let shortage):
            self.init(.poolExhausted, "the IP pools are exhausted", details: "\(shortage)")
        case .addressUnavailable: self.init(.addressUnavailable, "\(error)")
        case .blockLimit(let shortage):
            self.init(.blockLimit, "the node has as many blocks as it may, and they are full", details: "\(shortage)")
        case .strictAffinity(let shortage):
            self.init(.strictAffinity, "the node's blocks are full and strict affinity is on", details: "\(shortage)")
        case .inconsistent, .staleRelease: self.init(.datastoreInconsistent, "\(error)")
        case .noPool, .invalidPool, .invalidRequest: self.init(.invalidConfiguration, "\(error)")
        case .deadlineExceeded: self.init(.tryAgainLater, "\(error)")
        case .datastore(let error): self.init(error)
        }
    }
}

extension CNIError {
    /// What a runtime is told of a pod's network that could not be made.
    init(_ error: PodNetworkError) {
        let code: Code =
            switch error {
            case .invalidRequest, .interfaceExists: .invalidConfiguration
            case .notANamespace, .namespaceIsOwn: .invalidNamespace
            case .hostInterfaceExists, .routeConflict: .addressUnavailable
            case .noPermission, .kernel, .setting, .system, .leftBehind: .ioFailure
            }
        if case .noPermission(let attempt) = error {
            self.init(code, Privileges.message, details: attempt)
        } else {
            self.init(code, "\(error)")
        }
    }

    init(_ error: NetworkNamespaceError) {
        switch error {
        case .missing, .notANamespace: self.init(.invalidNamespace, "\(error)")
        case .systemCall where error.isPermission: self.init(.ioFailure, Privileges.message, details: "\(error)")
        case .systemCall: self.init(.ioFailure, "\(error)")
        }
    }
}
