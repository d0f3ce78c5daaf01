import ClusterClient
import EtcdStore
import KubernetesStore

/// Which store to use.
public enum StoreSelection: Hashable, Sendable {
    /// The local store below this directory.
    case local(dataDirectory: String)
    case etcd(EtcdConfiguration)
    case kubernetes(KubernetesAccess)

    /// What `datastore_type` calls them.
    public enum StoreType: String, Hashable, Sendable, CaseIterable {
        case local
        case etcd = "etcdv3"
        case kubernetes
    }

    /// How to reach the API server, and what is there.
    public struct KubernetesAccess: Hashable, Sendable {
        /// The kubeconfig's path; `nil` for a Pod's service account.
        public var kubeconfig: String?
        /// The server's URL, in the place of the kubeconfig's.
        public var apiRoot: String?
        public var api: CalicoAPI
        /// In the place of the kubeconfig's.
        public var credentials = InlineCredentials()
        /// Of the kubeconfig; `nil` for the current one.
        public var context: String?

        public init(
            kubeconfig: String? = nil,
            apiRoot: String? = nil,
            api: CalicoAPI = .customResources,
            context: String? = nil
        ) {
            self.kubeconfig = kubeconfig
            self.apiRoot = apiRoot
            self.api = api
            self.context = context
        }
    }

    /// Why the settings select no store that there is.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public enum Kind: Hashable, Sendable {
            /// There is no such store, or no such form of it.
            case unsupported
            /// A setting has no value that it can have, or is missing.
            case invalid
        }

        public let kind: Kind
        /// The setting by the name that its user gave it.
        public let name: String
        public let description: String
    }

    public static let defaultDataDirectory = "/var/lib/swiftlet"

    public var type: StoreType {
        switch self {
        case .local: .local
        case .etcd: .etcd
        case .kubernetes: .kubernetes
        }
    }

    /// Reads calicoctl's variables, and SWIFTLET_DATA_DIR; empty ones count as unset.
    public init(environment: [String: String]) throws(Problem) {
        try self.init(name: \.environmentName) { environment[$0.environmentName] }
        // Several files, as kubectl takes them, are found in the environment when the API is asked.
        if case .kubernetes(var access) = self, access.kubeconfig?.contains(":") == true {
            access.kubeconfig = nil
            self = .kubernetes(access)
        }
    }

    /// Reads the settings of a network configuration by their ``StoreSetting/key``; empty ones count as unset.
    public init(configuration: [String: String]) throws(Problem) {
        try self.init(name: \.key) { configuration[$0.key] }
    }

    private init(
        name: (StoreSetting) -> String,
        _ value: (StoreSetting) -> String?
    ) throws(Problem) {
        func setting(_ setting: StoreSetting) -> String? { value(setting).flatMap { $0.isEmpty ? nil : $0 } }

        // As in Calico, etcd is meant when its endpoints are all that is said.
        let isEtcdImplied = setting(.etcd(.endpoints)) != nil || setting(.etcd(.discoveryDomain)) != nil
        let type = setting(.type) ?? (isEtcdImplied ? "etcdv3" : "local")
        switch StoreType(rawValue: type) {
        case .local:
            let directory = setting(.dataDirectory) ?? Self.defaultDataDirectory
            guard directory.hasPrefix("/"), !directory.utf8.contains(0) else {
                throw Problem(
                    kind: .invalid,
                    name: name(.dataDirectory),
                    description: "\(name(.dataDirectory)) must be an absolute path, not \"\(directory)\""
                )
            }
            self = .local(dataDirectory: directory)
        case .etcd:
            do throws(DatastoreError) {
                self = .etcd(try EtcdConfiguration { setting(.etcd($0)) })
            } catch {
                throw Problem(
                    kind: .invalid,
                    name: name(.etcd(.endpoints)),
                    description: "the settings of etcd: \(Self.renamed(error.message, name))"
                )
            }
        case .kubernetes:
            let group = setting(.apiGroup) ?? CalicoAPI.customResources.group
            guard let api = CalicoAPI(rawValue: group) else {
                let known = CalicoAPI.allCases.map { "\"\($0.group)\"" }.joined(separator: " or ")
                throw Problem(
                    kind: .unsupported,
                    name: name(.apiGroup),
                    description: "\(name(.apiGroup)) is \"\(group)\", but it must be \(known)"
                )
            }
            self = .kubernetes(
                KubernetesAccess(kubeconfig: setting(.kubeconfig), apiRoot: setting(.apiRoot), api: api)
            )
        case nil:
            let known = StoreType.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            throw Problem(
                kind: .unsupported,
                name: name(.type),
                description: "\(name(.type)) is \"\(type)\", which is no store; there are \(known)"
            )
        }
    }

    /// A message about settings of etcd, which has their names in a network configuration, with the user's names.
    private static func renamed(_ message: String, _ name: (StoreSetting) -> String) -> String {
        message.split(separator: " ", omittingEmptySubsequences: false).map { word in
            let bare = word.last == ";" || word.last == "," ? word.dropLast() : word
            guard let setting = EtcdConfiguration.Setting(rawValue: String(bare)) else { return String(word) }
            return name(.etcd(setting)) + word.dropFirst(bare.count)
        }.joined(separator: " ")
    }
}
