import NetworkTypes

// The names that Calico gives its records in etcd (`reference/calico.md` 2.9). The local store uses the same names as
// paths, so that one can become the other by a walk over its files.

extension RecordKey {
    /// The path of the record below `/calico`, as in `ipam/v2/assignment/ipv4/block/10.65.79.0-26` in parts.
    ///
    /// The parts are the names as they are; a store that joins them has to refuse or escape a `/` inside one (E6).
    public var calicoPath: [String] {
        switch self {
        case .block(let cidr):
            RecordCollection.blocks(cidr.family).calicoPath + [cidr.calicoName]
        case .blockAffinity(let owner, let cidr):
            RecordCollection.blockAffinities(owner, cidr.family).calicoPath + [cidr.calicoName]
        case .handle(let id):
            RecordCollection.handles.calicoPath + [id]
        case .ipamConfiguration:
            ["ipam", "v2", "config"]
        case .resource(let kind, "", let name):
            RecordCollection.resources(kind).calicoPath + [name]
        case .resource(let kind, let namespace, let name):
            RecordCollection.resources(kind).calicoPath + [namespace, name]
        }
    }

    /// The key whose path this is, or `nil` when it is none that Swiftlet knows.
    public init?(calicoPath path: [String]) {
        let key: RecordKey? =
            switch (path.count, path.first) {
            case (3, "ipam"):
                .ipamConfiguration
            case (4, "ipam"):
                .handle(path[3])
            case (6, "ipam"):
                CIDR(calicoName: path[5]).map { .block($0) }
            case (7, "ipam"):
                CIDR(calicoName: path[6]).flatMap { cidr in
                    switch path[2] {
                    case "host": .blockAffinity(.host(path[3]), cidr)
                    case "virtual": .blockAffinity(.virtual(path[3]), cidr)
                    default: nil
                    }
                }
            case (5, "resources"):
                ResourceKind(rawValue: path[3]).map { .resource($0, name: path[4]) }
            case (6, "resources"):
                ResourceKind(rawValue: path[3]).map { .resource($0, namespace: path[4], name: path[5]) }
            default:
                nil
            }
        // The fixed parts are checked by going back.
        guard let key, key.calicoPath == path else { return nil }
        self = key
    }
}

extension RecordCollection {
    /// The path that the records of the collection share, in parts.
    public var calicoPath: [String] {
        switch self {
        case .blocks(let family):
            ["ipam", "v2", "assignment", family.calicoName, "block"]
        case .blockAffinities(.host(let name), let family):
            ["ipam", "v2", "host", name, family.calicoName, "block"]
        case .blockAffinities(.virtual(let name), let family):
            ["ipam", "v2", "virtual", name, family.calicoName, "block"]
        case .handles:
            ["ipam", "v2", "handle"]
        case .resources(let kind):
            ["resources", "v3", "projectcalico.org", kind.rawValue]
        }
    }
}

extension RecordCollection {
    /// The key of the record with this name in the collection's path (and this namespace, for namespaced kinds), or
    /// `nil` when the collection has no such name.
    func key(namespace: String = "", named name: String) -> RecordKey? {
        switch self {
        case .blocks(let family):
            CIDR(calicoName: name, family).map { .block($0) }
        case .blockAffinities(let owner, let family):
            CIDR(calicoName: name, family).map { .blockAffinity(owner, $0) }
        case .handles:
            .handle(name)
        case .resources(let kind):
            .resource(kind, namespace: namespace, name: name)
        }
    }
}

extension IPFamily {
    fileprivate var calicoName: String { self == .ipv4 ? "ipv4" : "ipv6" }
}

extension CIDR {
    /// `10.65.79.0-26`: the colons of IPv6 stay.
    fileprivate var calicoName: String { "\(address)-\(prefixLength)" }

    fileprivate init?(calicoName name: String) {
        guard let dash = name.utf8.lastIndex(of: UInt8(ascii: "-")) else { return nil }
        self.init(String(name[..<dash]) + "/" + String(name[name.utf8.index(after: dash)...]))
    }

    /// Only the canonical name of a prefix of that family.
    fileprivate init?(calicoName name: String, _ family: IPFamily) {
        self.init(calicoName: name)
        guard self.family == family, calicoName == name else { return nil }
    }
}
