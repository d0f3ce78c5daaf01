import KubernetesAPI
import NetworkTypes

extension CoreEndpoints: ObjectMessage {
    func object(_ pool: StringPool) throws(FieldError) -> KubernetesObject {
        .endpoints(try Endpoints(self, pool))
    }
}

extension Endpoints {
    init(_ message: CoreEndpoints, _ pool: StringPool) throws(FieldError) {
        self.init(metadata: try ObjectMeta(message.metadata, pool), subsets: [])
        for (index, subset) in message.subsets.enumerated() {
            subsets.append(try Subset(subset, ["subsets", .index(index)], pool))
        }
    }
}

extension Endpoints.Subset {
    fileprivate init(
        _ message: CoreEndpointSubset,
        _ path: [FieldError.Component],
        _ pool: StringPool
    ) throws(FieldError) {
        self.init(endpoints: [], ports: [])
        for (index, address) in message.addresses.enumerated() {
            endpoints.append(try Endpoint(address, isReady: true, path + ["addresses", .index(index)], pool))
        }
        for (index, address) in message.notReadyAddresses.enumerated() {
            endpoints.append(try Endpoint(address, isReady: false, path + ["notReadyAddresses", .index(index)], pool))
        }
        for (index, port) in message.ports.enumerated() {
            ports.append(
                try EndpointPort(port.name, port.protocol, port.port, path + ["ports", .index(index)], pool)
            )
        }
    }
}

extension Endpoint {
    fileprivate init(
        _ message: CoreEndpointAddress,
        isReady: Bool,
        _ path: @autoclosure () -> [FieldError.Component],
        _ pool: StringPool
    ) throws(FieldError) {
        guard message.hasIp else { throw FieldError(components: path() + ["ip"], reason: "is missing") }
        self.init(
            address: try obeying(path() + ["ip"], FieldRule.address(message.ip)),
            isReady: isReady,
            isServing: isReady,
            nodeName: message.hasNodeName ? pool.shared(message.nodeName) : nil
        )
    }
}

extension CoreEndpoints {
    init(_ endpoints: Endpoints) {
        metadata = MetaObjectMeta(endpoints.metadata)
        subsets = endpoints.subsets.map(CoreEndpointSubset.init)
    }
}

extension CoreEndpointSubset {
    fileprivate init(_ subset: Endpoints.Subset) {
        addresses = subset.endpoints.filter(\.isReady).map(CoreEndpointAddress.init)
        notReadyAddresses = subset.endpoints.filter { !$0.isReady }.map(CoreEndpointAddress.init)
        ports = subset.ports.map(CoreEndpointPort.init)
    }
}

extension CoreEndpointAddress {
    fileprivate init(_ endpoint: Endpoint) {
        ip = endpoint.address.description
        if let name = endpoint.nodeName { nodeName = name }
    }
}

extension CoreEndpointPort {
    fileprivate init(_ port: EndpointPort) {
        name = port.name
        `protocol` = port.transport.description
        if port.port != 0 { self.port = Int32(port.port) }
    }
}
