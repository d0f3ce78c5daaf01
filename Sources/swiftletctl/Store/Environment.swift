import Glibc
import Stores

/// The environment of this process, without Foundation.
enum Environment {
    /// What credentials may be found by, whatever says which store is meant.
    private static let credentials = ["HOME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]

    /// What a store may be selected by, and what credentials may be found by.
    static var variables: [String: String] { read(StoreSetting.allCases.map(\.environmentName) + credentials) }

    /// The same without what selects a store.
    static var withoutStore: [String: String] { read(credentials) }

    private static func read(_ names: [String]) -> [String: String] {
        var variables: [String: String] = [:]
        for name in names { variables[name] = getenv(name).map { String(cString: $0) } }
        return variables
    }
}
