import NetworkTypes

/// What does not fit the families of addresses that the node has (1.4, 2.12). A pure function.
struct FamilyCheck: Hashable {
    /// What an operator may not have meant.
    private(set) var warnings: [String] = []
    /// Why the proxy cannot go on.
    private(set) var fatal: String?

    /// The primary family is that of the node's first address, or of `bindAddress` if that is one.
    static func primary(_ addresses: [IPAddress], fixedAddress: IPAddress?) -> IPFamily {
        (fixedAddress ?? addresses.first)?.family ?? .ipv4
    }

    /// - Parameters:
    ///   - families: those that the kernel has.
    ///   - podCIDRs: those of the Node.
    init(
        _ configuration: KubeProxyConfiguration,
        primary: IPFamily,
        families: Set<IPFamily>,
        podCIDRs: [CIDR]
    ) {
        let configuration = configuration.withDefaults
        let other: IPFamily = primary == .ipv4 ? .ipv6 : .ipv4
        guard families.contains(primary) else {
            fatal = "the node's first address is \(primary), which this kernel has switched off"
            return
        }
        let clusterCIDRs = Self.families(configuration.clusterCIDR.split(separator: ",").map { String($0).trimmed })
        let nodePorts = Self.families(configuration.nodePortAddresses)
        let pods = Set(podCIDRs.map(\.family))
        func lacks(_ found: Set<IPFamily>) -> Bool { !found.isEmpty && !found.contains(primary) }

        if lacks(nodePorts) {
            warnings.append(
                "nodePortAddresses has only \(other) addresses, and the node is \(primary) first: node ports are served "
                    + "on all local \(primary) addresses"
            )
        } else if nodePorts == [primary], [clusterCIDRs, pods].contains(where: { $0.count == 2 }) {
            warnings.append(
                "nodePortAddresses has only \(primary) addresses, and the cluster has both families: node ports are "
                    + "served on all local \(other) addresses"
            )
        }
        if lacks(clusterCIDRs) {
            let problem = "clusterCIDR has only \(other) addresses, and the node is \(primary) first"
            if configuration.detectLocalMode == "ClusterCIDR", families.count == 1 {
                fatal = "\(problem) and has no other family: give a clusterCIDR of \(primary)"
            } else {
                warnings.append(problem)
            }
        }
        if lacks(pods) {
            let problem = "spec.podCIDRs of the Node has only \(other) addresses, and the node is \(primary) first"
            if configuration.detectLocalMode == "NodeCIDR" {
                fatal = "\(problem): let it have one of \(primary), or use another detectLocalMode than NodeCIDR"
            } else {
                warnings.append(problem)
            }
        }
        let servers = [
            ("healthzBindAddress", configuration.healthzBindAddress),
            ("metricsBindAddress", configuration.metricsBindAddress),
        ]
        for (field, value) in servers {
            guard let address = value.flatMap(BindAddress.init)?.address, !address.isUnspecified,
                address.family == other
            else { continue }
            warnings.append("\(field) is an \(other) address, and the node is \(primary) first")
        }
    }

    private static func families(_ prefixes: [String]) -> Set<IPFamily> {
        Set(prefixes.compactMap { CIDR($0)?.family })
    }
}
