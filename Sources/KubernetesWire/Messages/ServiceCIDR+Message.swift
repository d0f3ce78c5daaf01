import KubernetesAPI
import NetworkTypes

extension NetworkingServiceCIDR: ObjectMessage {
    func object(_ pool: StringPool) throws(FieldError) -> KubernetesObject {
        .serviceCIDR(
            ServiceCIDR(
                metadata: try ObjectMeta(metadata, pool),
                cidrs: try prefixes(spec.cidrs, at: "spec", "cidrs")
            )
        )
    }

    init(_ serviceCIDR: ServiceCIDR) {
        metadata = MetaObjectMeta(serviceCIDR.metadata)
        spec.cidrs = serviceCIDR.cidrs.map(\.description)
    }
}

/// The prefixes of a list; a fault names its place.
func prefixes(_ texts: [String], at path: FieldError.Component...) throws(FieldError) -> [CIDR] {
    var prefixes: [CIDR] = []
    for (index, text) in texts.enumerated() {
        prefixes.append(try obeying(path + [.index(index)], try FieldRule.prefix(text)))
    }
    return prefixes
}
