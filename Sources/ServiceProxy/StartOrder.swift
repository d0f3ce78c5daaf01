import KubernetesAPI

/// Who is served first when there is nothing yet: what everything else needs, then the oldest.
struct StartOrder: Comparable {
    let service: Catalog.ServiceID
    private let rank: Int
    private let created: Int64

    init(service: Catalog.ServiceID, created: Timestamp?, _ frontends: [Frontend]) {
        self.service = service
        // As with conflicts, what has no creation time comes after all that have one.
        self.created = created?.seconds ?? .max
        rank = service.name.isAPIServer ? 0 : service.name.namespace == "kube-system" && frontends.serveDNS ? 1 : 2
    }

    static func < (left: StartOrder, right: StartOrder) -> Bool {
        if left.rank != right.rank { return left.rank < right.rank }
        if left.created != right.created { return left.created < right.created }
        if left.service.name != right.service.name { return left.service.name < right.service.name }
        return left.service.family.rawValue < right.service.family.rawValue
    }
}

extension ObjectName {
    fileprivate var isAPIServer: Bool { namespace == "default" && name == "kubernetes" }
}

extension [Frontend] {
    fileprivate var serveDNS: Bool {
        contains { frontend in
            if case .address(_, _, 53) = frontend.key { true } else { false }
        }
    }
}
