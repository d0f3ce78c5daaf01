import CNI

/// What the configuration says about the pod's link and its namespace.
struct LinkSettings {
    /// Below this the kernel takes IPv6 away from an interface (IPV6_MIN_MTU, net/ipv6.h).
    private static let minimumIPv6MTU = 1280

    /// `nil` leaves it to the kernel.
    var mtu: Int?
    /// Transmit and receive queues of each end.
    let queues: Int
    /// Whether the pod forwards packets; written either way.
    let allowsForwarding: Bool

    /// Throws code 7 for values that cannot be, code 11 when the MTU file is required and not there yet.
    ///
    /// - Parameter mtuFile: where the agent writes the MTU; read when the configuration has none.
    init(_ configuration: ObjectReader, mtuFile: String, hasIPv6: Bool) throws(CNIError) {
        let requiresFile = try configuration.bool("require_mtu_file") ?? false
        let configured = try configuration.int("mtu") ?? 0
        if configured != 0 {
            mtu = try Self.check(configured, hasIPv6: hasIPv6, from: "\"mtu\"")
        } else if let text = try SmallFile.contents(mtuFile) {
            guard let number = Int(text) else {
                throw CNIError(.invalidConfiguration, "the MTU file \(mtuFile) has no number", details: text.quoted)
            }
            mtu = number == 0 ? nil : try Self.check(number, hasIPv6: hasIPv6, from: mtuFile)
        } else {
            mtu = nil
        }
        if requiresFile, try SmallFile.contents(mtuFile) == nil {
            throw CNIError(.tryAgainLater, "\"require_mtu_file\" is set and \(mtuFile) is not there yet")
        }

        queues = try configuration.int("num_queues") ?? 1
        guard (1...4096).contains(queues) else {
            throw CNIError(.invalidConfiguration, "\"num_queues\" must be 1 to 4096, not \(queues)")
        }
        // netkit is an optimisation that Calico itself replaces by veth wherever it is not to be had.
        let device = try configuration.nonEmptyString("device_type") ?? "veth"
        guard ["veth", "netkit"].contains(device) else {
            throw CNIError(.unsupportedField, "\"device_type\" must be \"veth\", not \(device.quoted)")
        }
        let dataplane = try configuration.object("dataplane_options")?.nonEmptyString("type") ?? "linux"
        guard dataplane == "linux" else {
            throw CNIError(
                .unsupportedField,
                "\"dataplane_options.type\" must be \"linux\", not \(dataplane.quoted)"
            )
        }
        allowsForwarding = try configuration.object("container_settings")?.bool("allow_ip_forwarding") ?? false
    }

    private static func check(_ mtu: Int, hasIPv6: Bool, from source: String) throws(CNIError) -> Int {
        // ETH_MIN_MTU and ETH_MAX_MTU of linux/if_ether.h, which is what a veth takes.
        guard (68...65535).contains(mtu) else {
            throw CNIError(.invalidConfiguration, "the MTU of \(source) must be 68 to 65535, not \(mtu)")
        }
        guard !hasIPv6 || mtu >= minimumIPv6MTU else {
            throw CNIError(
                .invalidConfiguration,
                "the MTU of \(source) must be at least \(minimumIPv6MTU) with IPv6, not \(mtu)"
            )
        }
        return mtu
    }
}
