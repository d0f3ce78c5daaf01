import JSON

extension CoreNode: JSONMessage {
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

extension CoreNodeSpec: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "podCIDRs": podCidrs = try reader.strings()
        case "taints": taints = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if !podCidrs.isEmpty { writer.member("podCIDRs", podCidrs) }
        if !taints.isEmpty { writer.member("taints", taints) }
    }
}

extension CoreTaint: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "key": key = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasKey { writer.member("key", key) }
    }
}

extension CoreNodeStatus: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "addresses": addresses = try reader.messages()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        writer.member("addresses", addresses)
    }
}

extension CoreNodeAddress: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "type": type = try reader.string()
        case "address": address = try reader.string()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasType { writer.member("type", type) }
        if hasAddress { writer.member("address", address) }
    }
}
