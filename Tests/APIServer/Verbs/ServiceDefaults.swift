import JSON

/// What a server makes of a Service's spec: defaults, cluster IPs, node ports, and the checks that go with them.
enum ServiceDefaults {
    /// What no two Services may have.
    static func claims(_ object: JSONObject) -> [String] {
        guard let spec = object["spec"]?.object else { return [] }
        var addresses = (spec["clusterIPs"]?.array ?? []).compactMap(\.text)
        if addresses.isEmpty, let address = spec["clusterIP"]?.text { addresses = [address] }
        let ports = (spec["ports"]?.array ?? []).compactMap { port -> String? in
            guard let port = port.object, let number = port["nodePort"]?.integer, number > 0 else { return nil }
            return "\(port["protocol"]?.text ?? "TCP")/\(number)"
        }
        return addresses.filter { !$0.isEmpty && $0 != "None" } + ports
    }

    /// Fills in what is missing.
    ///
    /// - Parameters:
    ///   - previous: the spec before an update, whose addresses and ports are kept.
    ///   - taken: whether another Service has an address or port.
    static func complete(
        _ spec: inout JSONObject,
        _ name: String,
        previous: JSONObject?,
        taken: (String) -> Bool
    ) throws(APIError) {
        try ports(&spec, name)
        spec.setDefault("type", "ClusterIP")
        spec.setDefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "ClientIP" {
            spec.setDefault("sessionAffinityConfig", ["clientIP": ["timeoutSeconds": 10800]])
        } else {
            spec["sessionAffinityConfig"] = nil
        }
        if spec["type"] == "ExternalName" { return }
        try addresses(&spec, name, previous, taken)
        if ["NodePort", "LoadBalancer"].contains(spec["type"]) {
            spec.setDefault("externalTrafficPolicy", "Cluster")
            if spec["type"] == "LoadBalancer" { spec.setDefault("allocateLoadBalancerNodePorts", true) }
            try nodePorts(&spec, name, previous, taken)
        }
        spec.setDefault("internalTrafficPolicy", "Cluster")
    }

    private static func ports(_ spec: inout JSONObject, _ name: String) throws(APIError) {
        var causes: [APIError.Cause] = []
        if !isLabel(name) {
            causes.append(
                .invalid(
                    "metadata.name",
                    "\"\(name)\"",
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                        + "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
                        + "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                )
            )
        }
        var ports = spec["ports"]?.array ?? []
        for index in ports.indices {
            guard var port = ports[index].object else { continue }
            let field = "spec.ports[\(index)]"
            if ports.count > 1, port["name"] == nil { causes.append(.required("\(field).name")) }
            port.setDefault("protocol", "TCP")
            port.setDefault("targetPort", port["port"] ?? 0)
            for key in ["port", "targetPort"] {
                guard let number = port[key]?.integer, !(1...65535).contains(number) else { continue }
                causes.append(.invalid("\(field).\(key)", "\(number)", "must be between 1 and 65535, inclusive"))
            }
            ports[index] = .object(port)
        }
        if ports.isEmpty, spec["clusterIP"] != "None", spec["type"] != "ExternalName" {
            causes.append(.required("spec.ports"))
        }
        guard causes.isEmpty else { throw .invalid(.services, name, causes) }
        if !ports.isEmpty { spec["ports"] = .array(ports) }
    }

    private static func addresses(
        _ spec: inout JSONObject,
        _ name: String,
        _ previous: JSONObject?,
        _ taken: (String) -> Bool
    ) throws(APIError) {
        let old = (previous?["clusterIPs"]?.array ?? []).compactMap(\.text)
        var addresses = (spec["clusterIPs"]?.array ?? []).compactMap(\.text)
        if let address = spec["clusterIP"]?.text, !address.isEmpty, addresses.isEmpty || old == addresses {
            addresses = addresses.first == address ? addresses : [address]
        }
        if addresses.isEmpty { addresses = old }
        if let first = old.first, let wanted = addresses.first, first != wanted {
            let cause = APIError.Cause.invalid("spec.clusterIPs[0]", "[\"\(wanted)\"]", "may not change once set")
            throw .invalid(.services, name, [cause])
        }
        if addresses.isEmpty {
            // Spread by the name, so that the addresses of a test do not depend on the order of its writes.
            var number = name.utf8.reduce(UInt32(17)) { ($0 &* 31 &+ UInt32($1)) & 0xffff }
            while number & 0xff == 0 || taken(address(number)) { number = (number + 1) & 0xffff }
            addresses = [address(number)]
        }
        for address in addresses where address != "None" && taken(address) {
            let why = "failed to allocate IP \(address): provided IP is already allocated"
            throw .invalid(.services, name, [.invalid("spec.clusterIPs", "[\"\(address)\"]", why)])
        }
        spec["clusterIP"] = .string(addresses[0])
        spec["clusterIPs"] = .array(addresses.map { .string($0) })
        spec.setDefault(
            "ipFamilies",
            .array(addresses.map { $0.contains(":") ? "IPv6" : "IPv4" })
        )
        spec.setDefault("ipFamilyPolicy", addresses.count > 1 ? "RequireDualStack" : "SingleStack")
    }

    private static func address(_ number: UInt32) -> String { "10.96.\(number >> 8).\(number & 0xff)" }

    private static func nodePorts(
        _ spec: inout JSONObject,
        _ name: String,
        _ previous: JSONObject?,
        _ taken: (String) -> Bool
    ) throws(APIError) {
        if spec["allocateLoadBalancerNodePorts"] == false { return }
        var ports = spec["ports"]?.array ?? []
        let old = (previous?["ports"]?.array ?? []).compactMap(\.object)
        var mine: Set<String> = []
        for index in ports.indices {
            guard var port = ports[index].object else { continue }
            let proto = port["protocol"]?.text ?? "TCP"
            if let number = port["nodePort"]?.integer, number > 0 {
                if taken("\(proto)/\(number)") {
                    throw .invalid(
                        .services,
                        name,
                        [.invalid("spec.ports[\(index)].nodePort", "\(number)", "provided port is already allocated")]
                    )
                }
                mine.insert("\(proto)/\(number)")
            } else if let same = old.first(where: { $0["port"] == port["port"] && $0["protocol"] == port["protocol"] }),
                let number = same["nodePort"]
            {
                port["nodePort"] = number
            } else {
                let start = (name + proto).utf8.reduce(UInt32(index)) { ($0 &* 31 &+ UInt32($1)) % 2768 }
                var number = 30000 + Int(start)
                for _ in 0..<2768 where taken("\(proto)/\(number)") || mine.contains("\(proto)/\(number)") {
                    number = number == 32767 ? 30000 : number + 1
                }
                mine.insert("\(proto)/\(number)")
                port["nodePort"] = .number(number)
            }
            ports[index] = .object(port)
        }
        if !ports.isEmpty { spec["ports"] = .array(ports) }
    }

    private static func isLabel(_ name: String) -> Bool {
        let edge = name.utf8.first.map { $0 != UInt8(ascii: "-") } ?? false
        return edge && name.utf8.last != UInt8(ascii: "-") && name.utf8.count <= 63
            && name.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
            }
    }
}
