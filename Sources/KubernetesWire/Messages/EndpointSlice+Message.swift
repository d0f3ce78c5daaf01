import KubernetesAPI
import NetworkTypes

extension DiscoveryEndpointSlice: ObjectMessage {
    func object(_ pool: StringPool) throws(FieldError) -> KubernetesObject {
        .endpointSlice(try EndpointSlice(self, pool))
    }
}

extension EndpointSlice {
    init(_ message: DiscoveryEndpointSlice, _ pool: StringPool) throws(FieldError) {
        let metadata = try ObjectMeta(message.metadata, pool)
        guard let type = try obeying(["addressType"], FieldRule.word(message.addressType, as: AddressType.self)) else {
            throw FieldError("addressType", reason: "is missing")
        }
        self.init(metadata: metadata, addressType: type, ports: [], endpoints: [])
        ports.reserveCapacity(message.ports.count)
        for (index, port) in message.ports.enumerated() {
            ports.append(try EndpointPort(port.name, port.protocol, port.port, ["ports", .index(index)], pool))
        }
        guard let family else { return }
        endpoints.reserveCapacity(message.endpoints.count)
        for (index, endpoint) in message.endpoints.enumerated() {
            // One without addresses, which the API forbids, is ignored (1.3).
            guard let text = endpoint.addresses.first else { continue }
            let address = try obeying(["endpoints", .index(index), "addresses", 0], FieldRule.address(text))
            try obeying(
                ["endpoints", .index(index), "addresses", 0],
                FieldRule.address(address, ofType: family)
            )
            endpoints.append(Endpoint(endpoint, address, pool))
        }
    }
}

extension Endpoint {
    fileprivate init(_ message: DiscoveryEndpoint, _ address: IPAddress, _ pool: StringPool) {
        self.init(address: address)
        if message.hasNodeName { nodeName = pool.shared(message.nodeName) }
        if message.hasConditions {
            let conditions = message.conditions
            isReady = !conditions.hasReady || conditions.ready
            isServing = !conditions.hasServing || conditions.serving
            isTerminating = conditions.terminating
        }
        if message.hasHints {
            zoneHints = message.hints.forZones.map { pool.shared($0.name) }
            nodeHints = message.hints.forNodes.map { pool.shared($0.name) }
        }
    }
}

extension EndpointPort {
    /// A port of a slice, or of Endpoints.
    init(
        _ name: String,
        _ transport: String,
        _ port: Int32,
        _ path: @autoclosure () -> [FieldError.Component],
        _ pool: StringPool
    ) throws(FieldError) {
        self.init(
            name: pool.shared(name),
            transport: try obeying(path() + ["protocol"], FieldRule.transport(transport)),
            port: try obeying(path() + ["port"], FieldRule.port(Int64(port)))
        )
    }
}

extension DiscoveryEndpointSlice {
    init(_ slice: EndpointSlice) {
        metadata = MetaObjectMeta(slice.metadata)
        addressType = slice.addressType.rawValue
        ports = slice.ports.map(DiscoveryEndpointPort.init)
        endpoints = slice.endpoints.map(DiscoveryEndpoint.init)
    }
}

extension DiscoveryEndpointPort {
    fileprivate init(_ port: EndpointPort) {
        name = port.name
        `protocol` = port.transport.description
        if port.port != 0 { self.port = Int32(port.port) }
    }
}

extension DiscoveryEndpoint {
    fileprivate init(_ endpoint: Endpoint) {
        addresses = [endpoint.address.description]
        var conditions = DiscoveryEndpointConditions()
        conditions.ready = endpoint.isReady
        conditions.serving = endpoint.isServing
        conditions.terminating = endpoint.isTerminating
        self.conditions = conditions
        if let name = endpoint.nodeName { nodeName = name }
        guard !endpoint.zoneHints.isEmpty || !endpoint.nodeHints.isEmpty else { return }
        hints.forZones = endpoint.zoneHints.map { name in .with { $0.name = name } }
        hints.forNodes = endpoint.nodeHints.map { name in .with { $0.name = name } }
    }
}
