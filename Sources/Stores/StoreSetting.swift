import EtcdStore

/// What can be set about a store, under Calico's name in a network configuration and calicoctl's in the environment.
public enum StoreSetting: Hashable, Sendable, CaseIterable {
    case type
    case dataDirectory
    case etcd(EtcdConfiguration.Setting)
    case kubeconfig
    case apiRoot
    case apiGroup

    public static let allCases: [StoreSetting] =
        [.type, .dataDirectory, .kubeconfig, .apiRoot, .apiGroup] + EtcdConfiguration.Setting.allCases.map { .etcd($0) }

    /// The key in a network configuration; parts of a path are separated by dots.
    public var key: String {
        switch self {
        case .type: "datastore_type"
        case .dataDirectory: "data_dir"
        case .etcd(let setting): setting.rawValue
        case .kubeconfig: "kubernetes.kubeconfig"
        case .apiRoot: "kubernetes.k8s_api_root"
        case .apiGroup: "calico_api_group"
        }
    }

    public var environmentName: String {
        switch self {
        case .type: "DATASTORE_TYPE"
        case .dataDirectory: "SWIFTLET_DATA_DIR"
        case .etcd(let setting): setting.environmentName
        case .kubeconfig: "KUBECONFIG"
        case .apiRoot: "K8S_API_ENDPOINT"
        case .apiGroup: "CALICO_API_GROUP"
        }
    }
}
