import NetworkTypes

/// Names one record. Stores turn it into a path, an etcd key or an object name.
public enum RecordKey: Hashable, Sendable {
    /// An IPAM block.
    case block(CIDR)
    /// That an owner wants or has a block.
    case blockAffinity(BlockOwner, CIDR)
    /// The index from a handle to the blocks it has addresses in.
    case handle(String)
    /// The singleton of IPAM settings (strict affinity and its siblings).
    case ipamConfiguration
    /// A resource of Calico's v3 API; `namespace` is empty for cluster-wide kinds.
    case resource(ResourceKind, namespace: String = "", name: String)
}

/// Who a block is affine to: `host:NODE` or `virtual:NAME`.
public enum BlockOwner: Hashable, Sendable {
    case host(String)
    case virtual(String)
}

/// The plural names of the v3 resources that Swiftlet reads or writes.
public enum ResourceKind: String, Hashable, Sendable, CaseIterable {
    case ipPools = "ippools"
    case ipReservations = "ipreservations"
    case nodes
    case clusterInformations = "clusterinformations"
    case workloadEndpoints = "workloadendpoints"
}

/// What a list covers.
public enum RecordCollection: Hashable, Sendable {
    case blocks(IPFamily)
    case blockAffinities(BlockOwner, IPFamily)
    case handles
    case resources(ResourceKind)
}

extension BlockOwner: LosslessStringConvertible {
    public init?(_ text: String) {
        if text.hasPrefix("host:") {
            self = .host(String(text.dropFirst(5)))
        } else if text.hasPrefix("virtual:") {
            self = .virtual(String(text.dropFirst(8)))
        } else {
            return nil
        }
    }

    public var description: String {
        switch self {
        case .host(let name): "host:\(name)"
        case .virtual(let name): "virtual:\(name)"
        }
    }
}

extension RecordKey: CustomStringConvertible {
    public var description: String {
        switch self {
        case .block(let cidr): "block \(cidr)"
        case .blockAffinity(let owner, let cidr): "affinity of \(owner) for \(cidr)"
        case .handle(let id): "handle \(id)"
        case .ipamConfiguration: "IPAM configuration"
        case .resource(let kind, "", let name): "\(kind.rawValue)/\(name)"
        case .resource(let kind, let namespace, let name): "\(kind.rawValue)/\(namespace)/\(name)"
        }
    }
}

extension RecordKey: Comparable {
    /// Blocks and affinities by prefix, everything else by name; the kinds in the order in which they are declared.
    public static func < (left: RecordKey, right: RecordKey) -> Bool {
        switch (left, right) {
        case (.block(let left), .block(let right)):
            left < right
        case (.blockAffinity(let leftOwner, let left), .blockAffinity(let rightOwner, let right)):
            leftOwner == rightOwner ? left < right : leftOwner.description < rightOwner.description
        case (.handle(let left), .handle(let right)):
            left < right
        case (
            .resource(let leftKind, let leftNamespace, let left),
            .resource(let rightKind, let rightNamespace, let right)
        ):
            (leftKind.rawValue, leftNamespace, left) < (rightKind.rawValue, rightNamespace, right)
        default:
            left.rank < right.rank
        }
    }

    private var rank: Int {
        switch self {
        case .block: 0
        case .blockAffinity: 1
        case .handle: 2
        case .ipamConfiguration: 3
        case .resource: 4
        }
    }
}
