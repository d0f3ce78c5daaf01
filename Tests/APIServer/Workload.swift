/// Services in any number, with slices and Nodes, for measurements. The same numbers make the same objects.
public struct Workload: Hashable, Sendable {
    public var services: Int
    /// In each Service's slice.
    public var endpoints: Int
    public var nodes: Int

    public init(services: Int, endpoints: Int, nodes: Int) {
        self.services = services
        self.endpoints = endpoints
        self.nodes = max(1, nodes)
    }

    public func put(into server: TestAPIServer) throws {
        guard services > 0 else { return }
        for node in 0..<nodes { try server.put(self.node(node)) }
        for index in 0..<services {
            try server.put(service(index))
            try server.put(slice(index))
        }
    }

    public func service(_ index: Int) -> String {
        let address = "10.\(96 + (index >> 16) & 15).\(index >> 8 & 255).\(index & 255)"
        return """
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"service-\(index)","namespace":"default","labels":\
            {"app":"app-\(index)"}},"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}],\
            "selector":{"app":"app-\(index)"},"clusterIP":"\(address)","clusterIPs":["\(address)"],"type":"ClusterIP",\
            "sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":\
            "Cluster"},"status":{"loadBalancer":{}}}
            """
    }

    public func slice(_ index: Int) -> String {
        let list = (0..<endpoints).map { number in
            let host = index * endpoints + number
            let node = number % nodes
            return """
                {"addresses":["10.\(128 + (host >> 16) & 127).\(host >> 8 & 255).\(host & 255)"],"conditions":{"ready":\
                true,"serving":true,"terminating":false},"nodeName":"node-\(node)","targetRef":{"kind":"Pod",\
                "name":"service-\(index)-\(number)","namespace":"default"},"zone":"zone-\(node % 3)"}
                """
        }
        return """
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"service-\(index)-slice",\
            "generateName":"service-\(index)-","namespace":"default","generation":1,"labels":{"app":"app-\(index)",\
            "endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":\
            "service-\(index)"}},"addressType":"IPv4","endpoints":[\(list.joined(separator: ","))],"ports":[{"name":\
            "http","protocol":"TCP","port":8080}]}
            """
    }

    private func node(_ index: Int) -> String {
        """
        {"apiVersion":"v1","kind":"Node","metadata":{"name":"node-\(index)","labels":{"topology.kubernetes.io/zone":\
        "zone-\(index % 3)"}},"spec":{"podCIDR":"10.244.\(index & 255).0/24","podCIDRs":["10.244.\(index & 255).0/24"]},\
        "status":{"addresses":[{"type":"InternalIP","address":"172.31.\(index >> 8 & 255).\(index & 255)"}]}}
        """
    }
}
