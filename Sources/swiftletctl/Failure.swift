import ClusterClient
import IPAM
import Stores

/// Why a command ends otherwise than well.
struct Failure: Error {
    /// The exit status.
    enum Status: Int32, CaseIterable {
        case error = 1
        case usage = 2
        case problemsFound = 3
        case notAssigned = 4
        /// The store, or the proxy.
        case unreachable = 5
    }

    let status: Status
    /// For stderr; empty when everything has been said.
    let message: String
}

extension Failure {
    init(_ error: DatastoreError) {
        switch error.reason {
        case .unavailable, .failed: self.init(status: .unreachable, message: error.description)
        case .alreadyExists, .conflict, .notFound, .corrupt, .invalidKey:
            self.init(status: .error, message: error.description)
        }
    }

    init(_ error: IPAMError) {
        switch error {
        case .datastore(let error): self.init(error)
        case .deadlineExceeded(let problem): self.init(status: .unreachable, message: problem)
        default: self.init(status: .error, message: error.description)
        }
    }

    static func systemCall(_ verb: String, _ path: String) -> Failure {
        Failure(status: .error, message: "cannot \(verb) \(path): \(Output.systemError)")
    }

    /// Does what a command consists of, with what goes wrong as its end.
    static func translating(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as DatastoreError {
            throw Failure(error)
        } catch let error as IPAMError {
            throw Failure(error)
        } catch let error as ImportRecords.Problem {
            throw Failure(status: .error, message: error.description)
        }
    }
}
