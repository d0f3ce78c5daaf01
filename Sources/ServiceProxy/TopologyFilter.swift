import KubernetesAPI

/// Whether traffic is kept near its client, by the hints of the endpoints (2.2).
enum TopologyFilter: Hashable {
    case none
    case sameNode(String)
    case sameZone(String)

    /// - Parameter ready: the ready endpoints of a service port; others have no say (TOP-5).
    init(for ready: some Sequence<Endpoint>, on node: NodeFacts) {
        var allNameNodes = true
        var allNameZones = true
        var oneNamesThisNode = false
        var oneNamesThisZone = false
        for endpoint in ready {
            if endpoint.nodeHints.isEmpty { allNameNodes = false }
            if endpoint.zoneHints.isEmpty { allNameZones = false }
            guard allNameNodes || allNameZones else {
                self = .none  // TOP-3, TOP-6
                return
            }
            oneNamesThisNode = oneNamesThisNode || endpoint.nodeHints.contains(node.name)
            oneNamesThisZone = oneNamesThisZone || endpoint.zoneHints.contains(node.zone)
        }
        if allNameNodes, oneNamesThisNode {
            self = .sameNode(node.name)  // TOP-1
        } else if allNameZones, oneNamesThisZone, !node.zone.isEmpty {
            self = .sameZone(node.zone)  // TOP-2, TOP-4
        } else {
            self = .none
        }
    }

    func admits(_ endpoint: Endpoint) -> Bool {
        switch self {
        case .none: true
        case .sameNode(let node): endpoint.nodeHints.contains(node)
        case .sameZone(let zone): endpoint.zoneHints.contains(zone)
        }
    }
}
