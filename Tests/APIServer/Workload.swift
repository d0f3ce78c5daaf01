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

    /// The cluster IP of a Service, in host byte order.
    public static func clusterIP(_ index: Int) -> UInt32 {
        10 << 24 | UInt32(96 + index >> 16 & 15) << 16 | UInt32(index & 0xffff)
    }

    /// The address of an endpoint, in host byte order. Those of Service `index` have the numbers from `index *
    /// endpoints`; there are 8 million.
    public static func endpointAddress(_ number: Int) -> UInt32 {
        10 << 24 | UInt32(128 + number >> 16 & 127) << 16 | UInt32(number & 0xffff)
    }

    private static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { "\(address >> $0 & 255)" }.joined(separator: ".")
    }

    public func service(_ index: Int) -> String {
        let address = Self.text(Self.clusterIP(index))
        return """
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"service-\(index)","namespace":"default","labels":\
            {"app":"app-\(index)"}},"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}],\
            "selector":{"app":"app-\(index)"},"clusterIP":"\(address)","clusterIPs":["\(address)"],"type":"ClusterIP",\
            "sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":\
            "Cluster"},"status":{"loadBalancer":{}}}
            """
    }

    /// - Parameter numbers: which endpoints it has (``endpointAddress(_:)``), in place of its own ones.
    public func slice(_ index: Int, numbers: [Int]? = nil) -> String {
        let own = index * endpoints
        let list = (numbers ?? Array(own..<own + endpoints)).map { host in
            let node = host % nodes
            return """
                {"addresses":["\(Self.text(Self.endpointAddress(host)))"],"conditions":{"ready":\
                true,"serving":true,"terminating":false},"nodeName":"node-\(node)","targetRef":{"kind":"Pod",\
                "name":"service-\(index)-\(host - own)","namespace":"default"},"zone":"zone-\(node % 3)"}
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
