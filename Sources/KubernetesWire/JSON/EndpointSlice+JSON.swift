import JSON

extension DiscoveryEndpointSlice: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "metadata": metadata = try reader.message()
        case "addressType": addressType = try reader.string()
        case "endpoints": endpoints = try reader.messages()
        case "ports": ports = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasMetadata { writer.member("metadata", metadata) }
        if hasAddressType { writer.member("addressType", addressType) }
        writer.member("endpoints", endpoints)
        writer.member("ports", ports)
    }
}

extension DiscoveryEndpoint: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "addresses": addresses = try reader.strings()
        case "conditions": conditions = try reader.message()
        case "nodeName": nodeName = try reader.string()
        case "hints": hints = try reader.message()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        writer.member("addresses", addresses)
        if hasConditions { writer.member("conditions", conditions) }
        if hasNodeName { writer.member("nodeName", nodeName) }
        if hasHints { writer.member("hints", hints) }
    }
}

extension DiscoveryEndpointConditions: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "ready": ready = try reader.boolean()
        case "serving": serving = try reader.boolean()
        case "terminating": terminating = try reader.boolean()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasReady { writer.member("ready", ready) }
        if hasServing { writer.member("serving", serving) }
        if hasTerminating { writer.member("terminating", terminating) }
    }
}

extension DiscoveryEndpointHints: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "forZones": forZones = try reader.messages()
        case "forNodes": forNodes = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if !forZones.isEmpty { writer.member("forZones", forZones) }
        if !forNodes.isEmpty { writer.member("forNodes", forNodes) }
    }
}

extension DiscoveryForZone: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
    }
}

extension DiscoveryForNode: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
    }
}

extension DiscoveryEndpointPort: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "name": self.name = try reader.string()
        case "protocol": `protocol` = try reader.string()
        case "port": port = try reader.integer()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasName { writer.member("name", name) }
        if hasProtocol { writer.member("protocol", `protocol`) }
        if hasPort { writer.member("port", port) }
    }
}
