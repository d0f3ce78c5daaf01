import CNI
import ClusterClient

extension CNIError {
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
