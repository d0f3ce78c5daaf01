import ClusterClient
import JSON

/// The two forms in which Calico keeps its objects in the Kubernetes API (2.10).
public enum CalicoAPI: String, Hashable, Sendable, CaseIterable {
    /// Custom resources that only Calico's own programs use; what nearly every cluster has.
    case customResources = "crd.projectcalico.org"
    /// The newer form, in which objects are what Calico's users see.
    case native = "projectcalico.org"

    public var group: String { rawValue }

    public var version: String {
        switch self {
        case .customResources: "v1"
        case .native: "v3"
        }
    }
}

/// The kinds of objects that records are kept as.
enum CalicoKind: Hashable, Sendable, CaseIterable {
    case block, affinity, handle, ipamConfiguration, ipPool, ipReservation, clusterInformation

    /// `nil` for records that are no objects of Calico here: nodes, and endpoints (K4).
    init?(_ key: RecordKey) {
        switch key {
        case .block: self = .block
        case .blockAffinity: self = .affinity
        case .handle: self = .handle
        case .ipamConfiguration: self = .ipamConfiguration
        case .resource(let kind, _, _): self.init(kind)
        }
    }

    init?(_ collection: RecordCollection) {
        switch collection {
        case .blocks: self = .block
        case .blockAffinities: self = .affinity
        case .handles: self = .handle
        case .resources(let kind): self.init(kind)
        }
    }

    private init?(_ kind: ResourceKind) {
        switch kind {
        case .ipPools: self = .ipPool
        case .ipReservations: self = .ipReservation
        case .clusterInformations: self = .clusterInformation
        case .nodes, .workloadEndpoints: return nil
        }
    }

    func kind(_ api: CalicoAPI) -> String {
        switch self {
        case .block: "IPAMBlock"
        case .affinity: "BlockAffinity"
        case .handle: "IPAMHandle"
        case .ipamConfiguration: api == .native ? "IPAMConfiguration" : "IPAMConfig"
        case .ipPool: "IPPool"
        case .ipReservation: "IPReservation"
        case .clusterInformation: "ClusterInformation"
        }
    }

    func plural(_ api: CalicoAPI) -> String {
        self == .affinity ? "blockaffinities" : kind(api).lowercased() + "s"
    }

    /// Whether a deletion is announced in the object first (K2): programs may be about to use what it says.
    var isDeletedSoftly: Bool {
        switch self {
        case .block, .affinity, .handle: true
        case .ipamConfiguration, .ipPool, .ipReservation, .clusterInformation: false
        }
    }

    /// How many objects of a list come in one answer. A block is up to 20 kB (K6).
    var pageSize: Int { self == .block ? 100 : 500 }
}

extension RecordKey {
    /// The names under which the object of the record may be, best first.
    var objectNames: [String] {
        switch self {
        case .block(let cidr): [ObjectNames.block(cidr)]
        case .blockAffinity(let owner, let cidr): [ObjectNames.affinity(owner, cidr)]
        case .handle(let id): ObjectNames.handle(id)
        case .ipamConfiguration: ["default"]
        case .resource(_, _, let name): [name]
        }
    }
}
