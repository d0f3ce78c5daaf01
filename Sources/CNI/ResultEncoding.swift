import JSON
import NetworkTypes

extension NetworkResult {
    /// The result in the form of a version (3.4). What that version has no place for is left out.
    ///
    /// Throws code 1 when the version is before 0.3.0 and there is no address, as its form is built around one.
    public func json(version: SpecVersion) throws(CNIError) -> JSONValue {
        var object = JSONObject([("cniVersion", .string(version.description))])
        switch version {
        case .v0_1_0, .v0_2_0:
            try encodeByFamily(into: &object)
            object["dns"] = dns.json
        case .v0_3_0, .v0_3_1, .v0_4_0:
            encodeLists(into: &object, form: .beforeOne)
            object["dns"] = dns.json
        case .v1_0_0, .v1_1_0:
            encodeLists(into: &object, form: .sinceOne)
            if !dns.isEmpty { object["dns"] = dns.json }
        }
        return .object(object)
    }

    /// Which of the two shapes of the lists is written.
    fileprivate enum Form { case beforeOne, sinceOne }

    private func encodeLists(into object: inout JSONObject, form: Form) {
        if !interfaces.isEmpty { object["interfaces"] = .array(interfaces.map { .object($0.json(form)) }) }
        if !addresses.isEmpty { object["ips"] = .array(addresses.map { .object($0.json(form)) }) }
        if !routes.isEmpty { object["routes"] = .array(routes.map { .object($0.json(form)) }) }
    }

    /// 0.2.0 and before: one address for each family, with the routes of that family (C2).
    private func encodeByFamily(into object: inout JSONObject) throws(CNIError) {
        guard !addresses.isEmpty else {
            throw CNIError(.incompatibleVersion, "a result without an address has no form before version 0.3.0")
        }
        for (key, isIPv4) in [("ip4", true), ("ip6", false)] {
            guard let first = addresses.first(where: { $0.address.address.hasIPv4Form == isIPv4 }) else { continue }
            var family = JSONObject([("ip", .string("\(first.address)"))])
            if let gateway = first.gateway { family["gateway"] = .string("\(gateway)") }
            let routes = routes.filter { $0.destination.address.hasIPv4Form == isIPv4 }
            if !routes.isEmpty { family["routes"] = .array(routes.map { .object($0.json(.beforeOne)) }) }
            object[key] = .object(family)
        }
    }
}

extension IPAddress {
    /// Whether the address counts as IPv4 in a result: also an IPv4-mapped IPv6 address does (C7).
    fileprivate var hasIPv4Form: Bool {
        switch self {
        case .v4: true
        case .v6(let address): address.ipv4Mapped != nil
        }
    }
}

extension NetworkResult.Interface {
    fileprivate func json(_ form: NetworkResult.Form) -> JSONObject {
        var object = JSONObject([("name", .string(name))])
        if let mac { object["mac"] = .string(mac) }
        if form == .sinceOne, let mtu { object["mtu"] = .number(mtu) }
        if let sandbox { object["sandbox"] = .string(sandbox) }
        guard form == .sinceOne else { return object }
        if let socketPath { object["socketPath"] = .string(socketPath) }
        if let pciID { object["pciID"] = .string(pciID) }
        return object
    }
}

extension NetworkResult.Address {
    fileprivate func json(_ form: NetworkResult.Form) -> JSONObject {
        var object = JSONObject()
        if form == .beforeOne { object["version"] = address.address.hasIPv4Form ? "4" : "6" }
        if let interface { object["interface"] = .number(interface) }
        object["address"] = .string("\(address)")
        if let gateway { object["gateway"] = .string("\(gateway)") }
        return object
    }
}

extension NetworkResult.Route {
    fileprivate func json(_ form: NetworkResult.Form) -> JSONObject {
        var object = JSONObject([("dst", .string("\(destination)"))])
        if let gateway { object["gw"] = .string("\(gateway)") }
        guard form == .sinceOne else { return object }
        if let mtu { object["mtu"] = .number(mtu) }
        if let advertisedMSS { object["advmss"] = .number(advertisedMSS) }
        if let priority { object["priority"] = .number(priority) }
        if let table { object["table"] = .number(table) }
        if let scope { object["scope"] = .number(scope) }
        return object
    }
}

extension DNS {
    fileprivate var json: JSONValue {
        var object = JSONObject()
        if !nameservers.isEmpty { object["nameservers"] = .array(nameservers.map { .string($0) }) }
        if !domain.isEmpty { object["domain"] = .string(domain) }
        if !search.isEmpty { object["search"] = .array(search.map { .string($0) }) }
        if !options.isEmpty { object["options"] = .array(options.map { .string($0) }) }
        return .object(object)
    }
}
