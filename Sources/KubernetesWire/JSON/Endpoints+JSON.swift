import JSON

extension CoreEndpoints: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "metadata": metadata = try reader.message()
        case "subsets": subsets = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasMetadata { writer.member("metadata", metadata) }
        writer.member("subsets", subsets)
    }
}

extension CoreEndpointSubset: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "addresses": addresses = try reader.messages()
        case "notReadyAddresses": notReadyAddresses = try reader.messages()
        case "ports": ports = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if !addresses.isEmpty { writer.member("addresses", addresses) }
        if !notReadyAddresses.isEmpty { writer.member("notReadyAddresses", notReadyAddresses) }
        writer.member("ports", ports)
    }
}

extension CoreEndpointAddress: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "ip": ip = try reader.string()
        case "nodeName": nodeName = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasIp { writer.member("ip", ip) }
        if hasNodeName { writer.member("nodeName", nodeName) }
    }
}

extension CoreEndpointPort: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        case "port": port = try reader.integer()
        case "protocol": `protocol` = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
        if hasPort { writer.member("port", port) }
        if hasProtocol { writer.member("protocol", `protocol`) }
    }
}
