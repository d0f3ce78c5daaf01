import NetworkTypes

extension NetworkResult {
    /// Reads a result of any version; one that does not say is of the version given (C10).
    ///
    /// Throws code 6 for what is not a result, code 1 for a version that is not supported.
    public init(decoding reader: ObjectReader, defaultVersion: SpecVersion) throws(CNIError) {
        let text = try reader.string("cniVersion") ?? ""
        let version = text.isEmpty ? defaultVersion : try SpecVersion(parsing: text, key: reader.path(of: "cniVersion"))
        self.init()
        if version < .v0_3_0 {
            for key in ["ip4", "ip6"] {  // C1: routes in this order
                guard let family = try reader.object(key) else { continue }
                let address: CIDR = try family.require("ip")
                addresses.append(try Address(address, gateway: family.value("gateway")))
                routes += try family.routes("routes")
            }
        } else {
            for entry in try reader.objects("interfaces") ?? [] {
                interfaces.append(try Interface(decoding: entry))
            }
            for entry in try reader.objects("ips") ?? [] {
                addresses.append(try Address(decoding: entry, interfaceCount: interfaces.count))
            }
            routes = try reader.routes("routes")
        }
        dns = try reader.resolver("dns")
    }
}

extension NetworkResult.Interface {
    fileprivate init(decoding reader: ObjectReader) throws(CNIError) {
        self.init(
            name: try reader.string("name") ?? "",
            mac: try reader.nonEmpty("mac"),
            mtu: try reader.int("mtu"),
            sandbox: try reader.nonEmpty("sandbox"),
            socketPath: try reader.nonEmpty("socketPath"),
            pciID: try reader.nonEmpty("pciID")
        )
    }
}

extension NetworkResult.Address {
    fileprivate init(decoding reader: ObjectReader, interfaceCount: Int) throws(CNIError) {
        let interface = try reader.int("interface")
        if let interface, !(0..<interfaceCount).contains(interface) {
            throw CNIError(
                .decodingFailure,
                "\"\(reader.path(of: "interface"))\" is \(interface), with \(interfaceCount) interfaces"
            )
        }
        self.init(try reader.require("address"), gateway: try reader.value("gateway"), interface: interface)
    }
}

extension ObjectReader {
    /// A list of routes as results have them, and `ipam.routes` of a configuration; empty when it is missing.
    public func routes(_ key: String) throws(CNIError) -> [NetworkResult.Route] {
        var routes: [NetworkResult.Route] = []
        for entry in try objects(key) ?? [] {
            routes.append(
                NetworkResult.Route(
                    try entry.require("dst"),
                    gateway: try entry.value("gw"),
                    mtu: try entry.int("mtu"),
                    advertisedMSS: try entry.int("advmss"),
                    priority: try entry.int("priority"),
                    table: try entry.int("table"),
                    scope: try entry.int("scope")
                )
            )
        }
        return routes
    }

    /// The resolver's settings as results and configurations have them; empty when they are missing.
    func resolver(_ key: String) throws(CNIError) -> DNS {
        guard let section = try object(key) else { return DNS() }
        return try DNS(
            nameservers: section.strings("nameservers") ?? [],
            domain: section.string("domain") ?? "",
            search: section.strings("search") ?? [],
            options: section.strings("options") ?? []
        )
    }

    fileprivate func nonEmpty(_ key: String) throws(CNIError) -> String? {
        guard let text = try string(key), !text.isEmpty else { return nil }
        return text
    }

    fileprivate func require(_ key: String) throws(CNIError) -> CIDR {
        guard let value = try value(key, as: CIDR.self) else {
            throw CNIError(.decodingFailure, "\"\(path(of: key))\" is missing")
        }
        return value
    }
}
