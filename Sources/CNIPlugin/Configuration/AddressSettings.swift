import CNI
import JSON
import NetworkTypes

/// The `ipam` section: which addresses a pod gets.
struct AddressSettings {
    /// The name under which Swiftlet's own IPAM goes.
    static let ownType = "swiftlet-ipam"

    let families: Set<IPFamily>
    /// Names or CIDRs of the only pools that may be used, for each family; empty for all.
    let pools: [IPFamily: [String]]
    /// The addresses that the pod must get instead of any.
    let requested: [IPAddress]

    /// Throws code 6 or 7 for what makes no sense.
    init(_ configuration: NetworkConfiguration, arguments: CNIArguments) throws(CNIError) {
        let ipam = try configuration.ipam() ?? ObjectReader(JSONObject(), path: "ipam")
        requested = try Self.requested(configuration, arguments)
        var families: Set<IPFamily> = []
        if try ipam.bool("assign_ipv4") ?? true { families.insert(.ipv4) }
        if try ipam.bool("assign_ipv6") ?? false { families.insert(.ipv6) }
        if !requested.isEmpty { families = Set(requested.map(\.family)) }
        guard !families.isEmpty else {
            throw CNIError(.invalidConfiguration, "\"ipam.assign_ipv4\" and \"ipam.assign_ipv6\" are both false")
        }
        self.families = families
        pools = [
            .ipv4: try ipam.strings("ipv4_pools") ?? [],
            .ipv6: try ipam.strings("ipv6_pools") ?? [],
        ]
    }

    /// The first of `runtimeConfig.ips`, `args.cni.ips` and `IP` that says anything (3.10).
    private static func requested(
        _ configuration: NetworkConfiguration,
        _ arguments: CNIArguments
    ) throws(CNIError) -> [IPAddress] {
        var addresses = try configuration.runtimeConfiguration().addresses
        if addresses.isEmpty { addresses = try configuration.argumentAddresses() }
        if addresses.isEmpty, let address = try arguments.requestedAddress() { addresses = [address] }
        for (index, address) in addresses.enumerated() {
            guard !address.isUnspecified, !address.isLoopback else {
                throw CNIError(.invalidConfiguration, "\(address) was requested, which no pod can have")
            }
            guard !addresses[..<index].contains(address) else {
                throw CNIError(.invalidConfiguration, "\(address) was requested twice")
            }
        }
        return addresses
    }

    /// Whose addresses they are. Throws code 7 for an IPAM plugin other than our own.
    static func requireOwnType(_ configuration: NetworkConfiguration) throws(CNIError) {
        guard let type = try configuration.ipam()?.nonEmptyString("type") else {
            throw CNIError(.invalidConfiguration, "\"ipam.type\" is missing", details: "it is usually \"\(ownType)\"")
        }
        guard type == ownType else {
            throw CNIError(
                .invalidConfiguration,
                "\"ipam.type\" must be \"\(ownType)\", not \(type.quoted)",
                details: "other IPAM plugins are not started"
            )
        }
    }
}
