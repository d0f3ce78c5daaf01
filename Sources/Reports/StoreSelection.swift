import ClusterClient

/// Which store to read, as the environment says.
public enum StoreSelection: Hashable, Sendable {
    /// The local store below this directory.
    case local(dataDirectory: String)

    /// Why the environment selects no store that there is.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    public static let defaultDataDirectory = "/var/lib/swiftlet"

    /// Reads DATASTORE_TYPE and SWIFTLET_DATA_DIR; empty variables count as unset.
    public init(environment: [String: String]) throws(Problem) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

        let type = value("DATASTORE_TYPE") ?? "local"
        switch type {
        case "local":
            break
        case "etcdv3", "kubernetes":
            throw Problem(description: "DATASTORE_TYPE is \"\(type)\", but this version knows only the store \"local\"")
        default:
            throw Problem(description: "DATASTORE_TYPE is \"\(type)\", which is no store; this version knows \"local\"")
        }
        let directory = value("SWIFTLET_DATA_DIR") ?? Self.defaultDataDirectory
        guard directory.hasPrefix("/") else {
            throw Problem(description: "SWIFTLET_DATA_DIR must be an absolute path, not \"\(directory)\"")
        }
        self = .local(dataDirectory: directory)
    }

    public func open() -> any Datastore {
        switch self {
        case .local(let directory): LocalDatastore(dataDirectory: directory)
        }
    }
}
