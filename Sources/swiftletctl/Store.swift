import ClusterClient
import Glibc
import IPAM
import Stores
import Version

/// The store that the environment selects.
enum Store {
    /// A store that is not there yet is one without records. A data directory that is not there is a mistake, unless
    /// something is about to be put into it.
    static func open(creating: Bool = false) throws -> any Datastore {
        let selection = try selection()
        if case .local(let directory) = selection, !creating, access(directory, F_OK) != 0 {
            let reason = String(cString: strerror(errno))
            throw Failure(
                status: .storeUnreachable,
                message: "\(directory), the data directory of the local store: \(reason)"
            )
        }
        do throws(DatastoreError) {
            return try selection.open(environment: Environment.variables, program: program)
        } catch {
            throw Failure(status: .error, message: error.message)
        }
    }

    /// What is done to the records of a store; in a cluster it is seen which addresses Pods have by their status.
    static func administration() throws -> IPAMAdministration {
        var administration = IPAMAdministration(datastore: try open())
        if case .kubernetes(let access) = try selection() {
            administration.addressesInUseElsewhere = { () async throws(DatastoreError) in
                try await access.podAddresses(environment: Environment.variables, program: program)
            }
        }
        return administration
    }

    /// What servers are told who asks.
    static let program = "swiftletctl/\(swiftletVersion)"

    static func selection() throws -> StoreSelection {
        do throws(StoreSelection.Problem) {
            return try StoreSelection(environment: Environment.variables)
        } catch {
            throw Failure(status: .error, message: error.description)
        }
    }
}

/// The environment of this process, without Foundation.
enum Environment {
    /// What a store may be selected by, and what credentials may be found by.
    private static let names =
        StoreSetting.allCases.map(\.environmentName) + ["HOME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]

    static var variables: [String: String] {
        var variables: [String: String] = [:]
        for name in names { variables[name] = getenv(name).map { String(cString: $0) } }
        return variables
    }
}
