import JSON

extension CoreService: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "metadata": metadata = try reader.message()
        case "spec": spec = try reader.message()
        case "status": status = try reader.message()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasMetadata { writer.member("metadata", metadata) }
        if hasSpec { writer.member("spec", spec) }
        if hasStatus { writer.member("status", status) }
    }
}

extension CoreServiceSpec: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "type": type = try reader.string()
        case "clusterIP": clusterIp = try reader.string()
        case "clusterIPs": clusterIps = try reader.strings()
        case "ports": ports = try reader.messages()
        case "externalIPs": externalIps = try reader.strings()
        case "loadBalancerSourceRanges": loadBalancerSourceRanges = try reader.strings()
        case "externalTrafficPolicy": externalTrafficPolicy = try reader.string()
        case "internalTrafficPolicy": internalTrafficPolicy = try reader.string()
        case "sessionAffinity": sessionAffinity = try reader.string()
        case "sessionAffinityConfig": sessionAffinityConfig = try reader.message()
        case "healthCheckNodePort": healthCheckNodePort = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasType { writer.member("type", type) }
        if hasClusterIp { writer.member("clusterIP", clusterIp) }
        if !clusterIps.isEmpty { writer.member("clusterIPs", clusterIps) }
        writer.member("ports", ports)
        if !externalIps.isEmpty { writer.member("externalIPs", externalIps) }
        if !loadBalancerSourceRanges.isEmpty { writer.member("loadBalancerSourceRanges", loadBalancerSourceRanges) }
        if hasExternalTrafficPolicy { writer.member("externalTrafficPolicy", externalTrafficPolicy) }
        if hasInternalTrafficPolicy { writer.member("internalTrafficPolicy", internalTrafficPolicy) }
        if hasSessionAffinity { writer.member("sessionAffinity", sessionAffinity) }
        if hasSessionAffinityConfig { writer.member("sessionAffinityConfig", sessionAffinityConfig) }
        if hasHealthCheckNodePort { writer.member("healthCheckNodePort", healthCheckNodePort) }
    }
}

extension CoreServicePort: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        case "protocol": `protocol` = try reader.string()
        case "port": port = try reader.integer()
        case "nodePort": nodePort = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
        if hasProtocol { writer.member("protocol", `protocol`) }
        if hasPort { writer.member("port", port) }
        if hasNodePort { writer.member("nodePort", nodePort) }
    }
}

extension CoreSessionAffinityConfig: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "clientIP": clientIp = try reader.message()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasClientIp { writer.member("clientIP", clientIp) }
    }
}

extension CoreClientIPConfig: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "timeoutSeconds": timeoutSeconds = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasTimeoutSeconds { writer.member("timeoutSeconds", timeoutSeconds) }
    }
}

extension CoreServiceStatus: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "loadBalancer": loadBalancer = try reader.message()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasLoadBalancer { writer.member("loadBalancer", loadBalancer) }
    }
}

extension CoreLoadBalancerStatus: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "ingress": ingress = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if !ingress.isEmpty { writer.member("ingress", ingress) }
    }
}

extension CoreLoadBalancerIngress: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "ip": ip = try reader.string()
        case "ipMode": ipMode = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasIp { writer.member("ip", ip) }
        if hasIpMode { writer.member("ipMode", ipMode) }
    }
}
