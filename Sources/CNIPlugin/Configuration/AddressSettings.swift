import CNI
import JSON
import NetworkTypes

/// The `ipam` section, and whatever else says which addresses a pod gets.
struct AddressSettings {
    /// The name under which Swiftlet's own IPAM goes.
    static let ownType = "swiftlet-ipam"

    let families: Set<IPFamily>
    /// Names or CIDRs of the only pools that may be used, for each family; empty for all.
    let pools: [IPFamily: [String]]
    /// The addresses that the pod must get instead of any.
    let requested: [IPAddress]
    /// The addresses that the pod gets without IPAM, instead of any.
    let withoutIPAM: [IPAddress]

    /// Throws code 6 or 7 for what makes no sense.
    init(
        _ configuration: NetworkConfiguration,
        arguments: CNIArguments,
        annotations: PodAnnotations = .none
    ) throws(CNIError) {
        let ipam = try configuration.ipam() ?? ObjectReader(JSONObject(), path: "ipam")
        requested = try Self.requested(configuration, arguments, annotations)
        withoutIPAM = requested.isEmpty ? try Self.withoutIPAM(configuration, annotations) : []
        var families = try Self.families(ipam)
        if let asked = annotations.families { families = asked }
        let fixed = requested + withoutIPAM
        if !fixed.isEmpty { families = Set(fixed.map(\.family)) }
        guard !families.isEmpty else {
            throw CNIError(.invalidConfiguration, "\"ipam.assign_ipv4\" and \"ipam.assign_ipv6\" are both false")
        }
        self.families = families
        // 1.3: the Pod's word replaces the Namespace's, which replaces the configuration's.
        pools = [
            .ipv4: try ipam.strings("ipv4_pools") ?? [],
            .ipv6: try ipam.strings("ipv6_pools") ?? [],
        ].merging(annotations.pools) { _, asked in asked }
    }

    /// The families of the configuration alone.
    static func families(_ ipam: ObjectReader) throws(CNIError) -> Set<IPFamily> {
        var families: Set<IPFamily> = []
        if try ipam.bool("assign_ipv4") ?? true { families.insert(.ipv4) }
        if try ipam.bool("assign_ipv6") ?? false { families.insert(.ipv6) }
        return families
    }

    /// The first of `runtimeConfig.ips`, `args.cni.ips`, `IP` and the annotation that says anything (3.10).
    private static func requested(
        _ configuration: NetworkConfiguration,
        _ arguments: CNIArguments,
        _ annotations: PodAnnotations
    ) throws(CNIError) -> [IPAddress] {
        var addresses = try configuration.runtimeConfiguration().addresses
        if addresses.isEmpty { addresses = try configuration.argumentAddresses() }
        if addresses.isEmpty, let address = try arguments.requestedAddress() { addresses = [address] }
        if addresses.isEmpty { addresses = annotations.addresses }
        addresses = addresses.map(\.withoutMapping)
        try check(addresses)
        return addresses
    }

    /// The addresses of `ipAddrsNoIpam`. Throws code 7 when the feature is not enabled.
    private static func withoutIPAM(
        _ configuration: NetworkConfiguration,
        _ annotations: PodAnnotations
    ) throws(CNIError) -> [IPAddress] {
        let addresses = annotations.addressesWithoutIPAM
        guard !addresses.isEmpty else { return [] }
        guard try configuration.reader.object("feature_control")?.bool("ip_addrs_no_ipam") ?? false else {
            throw CNIError(
                .invalidConfiguration,
                "the Pod has the annotation \(Annotation.addressesWithoutIPAM), which is not allowed here",
                details: "\"feature_control.ip_addrs_no_ipam\" in the network configuration allows it"
            )
        }
        try check(addresses)
        return addresses
    }

    private static func check(_ addresses: [IPAddress]) throws(CNIError) {
        for (index, address) in addresses.enumerated() {
            guard !address.isUnspecified, !address.isLoopback else {
                throw CNIError(.invalidConfiguration, "\(address) was requested, which no pod can have")
            }
            guard !addresses[..<index].contains(address) else {
                throw CNIError(.invalidConfiguration, "\(address) was requested twice")
            }
        }
    }
}

extension IPAddress {
    /// The IPv4 address where it is written as an IPv6 one, `::ffff:10.80.0.1`, as Go's plugins read it (C7).
    var withoutMapping: IPAddress {
        if case .v6(let address) = self, let mapped = address.ipv4Mapped { .v4(mapped) } else { self }
    }
}
