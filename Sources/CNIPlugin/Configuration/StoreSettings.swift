import CNI
import ClusterClient
import Stores
import Version

/// Where records are kept.
struct StoreSettings {
    static let defaultDirectory = StoreSelection.defaultDataDirectory

    /// The store of the records.
    let selection: StoreSelection
    /// The directory of the local store, which has the MTU file whatever the store is; an absolute path.
    let dataDirectory: String
    /// The file that serializes the IPAM of all plugins of this host (2.12).
    let lockFile: String
    /// Where Pods are looked at when records are kept elsewhere; `nil` for nowhere.
    private let cluster: StoreSelection?

    var mtuFile: String { dataDirectory + "/mtu" }

    /// What DEL leaves for a store that is away.
    var journal: ReleaseJournal { ReleaseJournal(dataDirectory: dataDirectory) }

    func recentBlocks(_ network: String) -> RecentBlocks {
        RecentBlocks(dataDirectory: dataDirectory, network: network)
    }

    /// Throws code 2 for a kind of store that there is not, 7 for settings that make no sense.
    init(_ configuration: ObjectReader) throws(CNIError) {
        dataDirectory = try configuration.absolutePath("data_dir") ?? Self.defaultDirectory
        lockFile = try configuration.absolutePath("ipam_lock_file") ?? dataDirectory + "/ipam.lock"
        let kubernetes = try configuration.object("kubernetes")
        var settings: [String: String] = [:]
        for setting in StoreSetting.allCases {
            let path = setting.key.split(separator: ".").map(String.init)
            settings[setting.key] =
                path.count == 1
                ? try configuration.nonEmptyString(path[0]) : try kubernetes?.nonEmptyString(path[path.count - 1])
        }
        let endpoints = StoreSetting.etcd(.endpoints).key
        if settings[endpoints] == nil, let authority = try configuration.nonEmptyString("etcd_authority") {
            // Calico's older way to say it (1.1).
            settings[endpoints] = "\(try configuration.nonEmptyString("etcd_scheme") ?? "http")://\(authority)"
        }
        let policy = try configuration.object("policy")
        if settings[StoreSetting.apiRoot.key] == nil {
            settings[StoreSetting.apiRoot.key] = try policy?.nonEmptyString("k8s_api_root")
        }
        let credentials = try Self.credentials(policy)
        selection = try Self.select(settings, credentials)
        let isAsked = try policy?.nonEmptyString("type") == "k8s"
        let isKnown = settings[StoreSetting.kubeconfig.key] != nil || settings[StoreSetting.apiRoot.key] != nil
        guard selection.type != .kubernetes, isAsked, isKnown else {
            cluster = nil
            return
        }
        settings[StoreSetting.type.key] = StoreSelection.StoreType.kubernetes.rawValue
        cluster = try Self.select(settings, credentials)
    }

    /// Calico's older place for them (1.1). Throws code 7 for a certificate without its key.
    private static func credentials(_ policy: ObjectReader?) throws(CNIError) -> InlineCredentials {
        let certificate = try policy?.absolutePath("k8s_client_certificate")
        let key = try policy?.absolutePath("k8s_client_key")
        guard (certificate == nil) == (key == nil) else {
            throw CNIError(
                .invalidConfiguration,
                "\"policy.k8s_client_certificate\" and \"policy.k8s_client_key\" go together"
            )
        }
        return InlineCredentials(
            token: try policy?.nonEmptyString("k8s_auth_token"),
            certificateFile: certificate,
            keyFile: key,
            authorityFile: try policy?.absolutePath("k8s_certificate_authority")
        )
    }

    private static func select(
        _ settings: [String: String],
        _ credentials: InlineCredentials
    ) throws(CNIError) -> StoreSelection {
        do throws(StoreSelection.Problem) {
            let selection = try StoreSelection(configuration: settings)
            guard case .kubernetes(var access) = selection else { return selection }
            access.credentials = credentials
            return .kubernetes(access)
        } catch {
            throw CNIError(
                error.kind == .unsupported ? .unsupportedField : .invalidConfiguration,
                error.description,
                details: ""
            )
        }
    }

    /// The cluster's Pods beside a store that is elsewhere: with `policy.type` `k8s` and a way to the API (1.1).
    func openObjects(node: String) throws(CNIError) -> (any WorkloadObjects)? {
        guard let cluster else { return nil }
        do throws(DatastoreError) {
            return try cluster.open(node: node, program: "swiftlet/\(swiftletVersion)") as? any WorkloadObjects
        } catch {
            throw CNIError(.invalidConfiguration, "the Kubernetes API cannot be asked", details: error.message)
        }
    }

    /// - Parameters:
    ///   - node: this node, whose endpoints lists are confined to.
    ///   - timeLimit: how long one call waits for the store.
    /// - Throws: code 7 when the credentials cannot be read or used.
    func open(node: String, timeLimit: Duration = .seconds(8)) throws(CNIError) -> any Datastore {
        do throws(DatastoreError) {
            return try selection.open(node: node, timeLimit: timeLimit, program: "swiftlet/\(swiftletVersion)")
        } catch {
            throw CNIError(.invalidConfiguration, "the store cannot be used", details: error.message)
        }
    }
}

extension ObjectReader {
    /// A path that does not depend on where the runtime happened to start the plugin. Throws code 7 for another.
    func absolutePath(_ key: String) throws(CNIError) -> String? {
        guard let path = try nonEmptyString(key) else { return nil }
        guard path.hasPrefix("/"), !path.utf8.contains(0) else {
            throw CNIError(
                .invalidConfiguration,
                "\"\(self.path(of: key))\" must be an absolute path",
                details: path.quoted
            )
        }
        return path
    }
}
