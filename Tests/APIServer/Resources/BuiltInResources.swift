extension ResourceType {
    public static let services = ResourceType(plural: "services", kind: "Service", shortNames: ["svc"], hasStatus: true)
    public static let endpoints = ResourceType(
        plural: "endpoints",
        singular: "endpoints",
        kind: "Endpoints",
        shortNames: ["ep"]
    )
    public static let nodes = ResourceType(
        plural: "nodes",
        kind: "Node",
        isNamespaced: false,
        shortNames: ["no"],
        hasStatus: true
    )
    public static let pods = ResourceType(plural: "pods", kind: "Pod", shortNames: ["po"], hasStatus: true)
    public static let namespaces = ResourceType(
        plural: "namespaces",
        kind: "Namespace",
        isNamespaced: false,
        shortNames: ["ns"],
        hasStatus: true
    )
    public static let configMaps = ResourceType(plural: "configmaps", kind: "ConfigMap", shortNames: ["cm"])
    public static let coreEvents = ResourceType(plural: "events", kind: "Event", shortNames: ["ev"])
    public static let endpointSlices = ResourceType(
        group: "discovery.k8s.io",
        plural: "endpointslices",
        kind: "EndpointSlice"
    )
    public static let events = ResourceType(
        group: "events.k8s.io",
        plural: "events",
        kind: "Event",
        shortNames: ["ev"]
    )
    public static let serviceCIDRs = ResourceType(
        group: "networking.k8s.io",
        plural: "servicecidrs",
        kind: "ServiceCIDR",
        isNamespaced: false,
        hasStatus: true
    )
    public static let ipAddresses = ResourceType(
        group: "networking.k8s.io",
        plural: "ipaddresses",
        kind: "IPAddress",
        isNamespaced: false,
        shortNames: ["ip"]
    )
    public static let networkPolicies = ResourceType(
        group: "networking.k8s.io",
        plural: "networkpolicies",
        singular: "networkpolicy",
        kind: "NetworkPolicy",
        shortNames: ["netpol"]
    )
    public static let leases = ResourceType(group: "coordination.k8s.io", plural: "leases", kind: "Lease")
    public static let customResourceDefinitions = ResourceType(
        group: "apiextensions.k8s.io",
        plural: "customresourcedefinitions",
        kind: "CustomResourceDefinition",
        isNamespaced: false,
        shortNames: ["crd", "crds"],
        hasStatus: true
    )

    public static let builtIn: [ResourceType] = [
        .services, .endpoints, .nodes, .pods, .namespaces, .configMaps, .coreEvents, .endpointSlices, .events,
        .serviceCIDRs, .ipAddresses, .networkPolicies, .leases, .customResourceDefinitions,
    ]

    /// The kinds in which Calico keeps its records (`reference/calico.md` 2.10). All are cluster-wide.
    public static let calico: [ResourceType] = [
        ("ipamblocks", "IPAMBlock"), ("blockaffinities", "BlockAffinity"), ("ipamhandles", "IPAMHandle"),
        ("ipamconfigs", "IPAMConfig"), ("ippools", "IPPool"), ("ipreservations", "IPReservation"),
        ("clusterinformations", "ClusterInformation"),
    ].map {
        ResourceType(
            group: "crd.projectcalico.org",
            plural: $0.0,
            kind: $0.1,
            isNamespaced: false,
            isCustom: true
        )
    }
}
