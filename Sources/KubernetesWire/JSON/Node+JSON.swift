import JSON

extension CoreNode: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "metadata": metadata = try reader.message()
        case "status": status = try reader.message()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasMetadata { writer.member("metadata", metadata) }
        if hasStatus { writer.member("status", status) }
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
