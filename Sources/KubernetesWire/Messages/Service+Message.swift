import KubernetesAPI
import NetworkTypes

extension CoreService: ObjectMessage {
    func object(_ pool: StringPool) throws(FieldError) -> KubernetesObject {
        .service(try Service(self, pool))
    }
}

extension Service {
    init(_ message: CoreService, _ pool: StringPool) throws(FieldError) {
        let metadata = try ObjectMeta(message.metadata, pool)
        guard message.hasSpec else { throw FieldError("spec", reason: "is missing") }
        let spec = message.spec
        self.init(metadata: metadata, clusterIPs: try Self.clusterIPs(spec), ports: [])
        type = try obeying(["spec", "type"], FieldRule.word(spec.type)) ?? .clusterIP
        ports.reserveCapacity(spec.ports.count)
        for (index, port) in spec.ports.enumerated() { ports.append(try Port(port, index, pool)) }
        for (index, address) in spec.externalIps.enumerated() {
            externalIPs.append(try obeying(["spec", "externalIPs", .index(index)], FieldRule.address(address)))
        }
        loadBalancerSourceRanges = spec.loadBalancerSourceRanges
        externalTrafficPolicy =
            try obeying(["spec", "externalTrafficPolicy"], FieldRule.word(spec.externalTrafficPolicy)) ?? .cluster
        internalTrafficPolicy =
            try obeying(["spec", "internalTrafficPolicy"], FieldRule.word(spec.internalTrafficPolicy)) ?? .cluster
        healthCheckNodePort = try obeying(
            ["spec", "healthCheckNodePort"],
            FieldRule.port(Int64(spec.healthCheckNodePort))
        )
        affinityTimeout = try Self.affinityTimeout(spec)
        ingress = try Self.ingress(message.status.loadBalancer.ingress)
    }

    /// The list where there is one, else the single field that is its first element; without "None" and "".
    private static func clusterIPs(_ spec: CoreServiceSpec) throws(FieldError) -> [IPAddress] {
        var addresses: [IPAddress] = []
        if spec.clusterIps.isEmpty {
            let address = try obeying(["spec", "clusterIP"], FieldRule.clusterIP(spec.clusterIp))
            if let address { addresses.append(address) }
        }
        for (index, text) in spec.clusterIps.enumerated() {
            let address = try obeying(["spec", "clusterIPs", .index(index)], FieldRule.clusterIP(text))
            if let address { addresses.append(address) }
        }
        return try obeying(["spec", "clusterIPs"], FieldRule.onePerFamily(addresses))
    }

    private static func affinityTimeout(_ spec: CoreServiceSpec) throws(FieldError) -> UInt32? {
        let affinity = try obeying(
            ["spec", "sessionAffinity"],
            FieldRule.word(spec.sessionAffinity, as: SessionAffinity.self)
        )
        guard affinity == .clientIP else { return nil }
        let config = spec.sessionAffinityConfig.clientIp
        return try obeying(
            ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"],
            FieldRule.affinityTimeout(config.hasTimeoutSeconds ? Int64(config.timeoutSeconds) : nil)
        )
    }

    private static func ingress(_ messages: [CoreLoadBalancerIngress]) throws(FieldError) -> [Ingress] {
        var ingress: [Ingress] = []
        for (index, entry) in messages.enumerated() where !entry.ip.isEmpty {
            let path: [FieldError.Component] = ["status", "loadBalancer", "ingress", .index(index)]
            let mode = try obeying(path + ["ipMode"], FieldRule.word(entry.ipMode, as: IngressMode.self))
            ingress.append(
                Ingress(
                    address: try obeying(path + ["ip"], FieldRule.address(entry.ip)),
                    isVIP: mode != .proxy
                )
            )
        }
        return ingress
    }
}

extension Service.Port {
    fileprivate init(_ message: CoreServicePort, _ index: Int, _ pool: StringPool) throws(FieldError) {
        self.init(
            name: pool.shared(message.name),
            transport: try obeying(
                ["spec", "ports", .index(index), "protocol"],
                FieldRule.transport(message.protocol)
            ),
            port: try obeying(
                ["spec", "ports", .index(index), "port"],
                FieldRule.port(Int64(message.port), allowingZero: false)
            ),
            nodePort: try obeying(
                ["spec", "ports", .index(index), "nodePort"],
                FieldRule.port(Int64(message.nodePort))
            )
        )
    }
}

extension CoreService {
    init(_ service: Service) {
        metadata = MetaObjectMeta(service.metadata)
        var spec = CoreServiceSpec()
        spec.type = service.type.rawValue
        spec.clusterIp = service.clusterIPs.first?.description ?? "None"
        spec.clusterIps = service.clusterIPs.isEmpty ? ["None"] : service.clusterIPs.map(\.description)
        spec.ports = service.ports.map(CoreServicePort.init)
        spec.externalIps = service.externalIPs.map(\.description)
        spec.loadBalancerSourceRanges = service.loadBalancerSourceRanges
        spec.externalTrafficPolicy = service.externalTrafficPolicy.rawValue
        spec.internalTrafficPolicy = service.internalTrafficPolicy.rawValue
        let affinity: Service.SessionAffinity = service.affinityTimeout == nil ? .none : .clientIP
        spec.sessionAffinity = affinity.rawValue
        if let timeout = service.affinityTimeout {
            spec.sessionAffinityConfig.clientIp.timeoutSeconds = Int32(truncatingIfNeeded: timeout)
        }
        if service.healthCheckNodePort != 0 { spec.healthCheckNodePort = Int32(service.healthCheckNodePort) }
        self.spec = spec
        if !service.ingress.isEmpty {
            status.loadBalancer.ingress = service.ingress.map(CoreLoadBalancerIngress.init)
        }
    }
}

extension CoreServicePort {
    fileprivate init(_ port: Service.Port) {
        if !port.name.isEmpty { name = port.name }
        `protocol` = port.transport.description
        self.port = Int32(port.port)
        if port.nodePort != 0 { nodePort = Int32(port.nodePort) }
    }
}

extension CoreLoadBalancerIngress {
    fileprivate init(_ ingress: Service.Ingress) {
        ip = ingress.address.description
        let mode: Service.IngressMode = ingress.isVIP ? .vip : .proxy
        ipMode = mode.rawValue
    }
}
