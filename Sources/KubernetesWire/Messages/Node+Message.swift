import KubernetesAPI
import NetworkTypes

extension CoreNode: ObjectMessage {
    func object(_ pool: StringPool) throws(FieldError) -> KubernetesObject {
        .node(try Node(self, pool))
    }
}

extension Node {
    init(_ message: CoreNode, _ pool: StringPool) throws(FieldError) {
        let addresses = message.status.addresses.lazy.map { (type: $0.type, address: $0.address) }
        self.init(
            metadata: try ObjectMeta(message.metadata, isOfNode: true, pool),
            internalIPs: Self.addresses(.internalIP, of: addresses),
            externalIPs: Self.addresses(.externalIP, of: addresses),
            podCIDRs: try prefixes(message.spec.podCidrs, at: "spec", "podCIDRs"),
            taintKeys: message.spec.taints.map(\.key)
        )
    }
}

extension CoreNode {
    init(_ node: Node) {
        metadata = MetaObjectMeta(node.metadata)
        let addresses =
            node.internalIPs.map { CoreNodeAddress(.internalIP, $0) }
            + node.externalIPs.map { CoreNodeAddress(.externalIP, $0) }
        if !addresses.isEmpty { status.addresses = addresses }
        if !node.podCIDRs.isEmpty { spec.podCidrs = node.podCIDRs.map(\.description) }
        if !node.taintKeys.isEmpty { spec.taints = node.taintKeys.map { key in .with { $0.key = key } } }
    }
}

extension CoreNodeAddress {
    fileprivate init(_ type: Node.AddressType, _ address: IPAddress) {
        self.type = type.rawValue
        self.address = address.description
    }
}
