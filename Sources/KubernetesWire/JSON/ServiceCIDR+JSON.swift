import JSON

extension NetworkingServiceCIDR: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "metadata": metadata = try reader.message()
        case "spec": spec = try reader.message()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        if hasMetadata { writer.member("metadata", metadata) }
        if hasSpec { writer.member("spec", spec) }
    }
}

extension NetworkingServiceCIDRSpec: JSONMessage {
    mutating func readMember(_ name: String, _ reader: inout JSONReader) throws(JSONReader.Failure) {
        switch name {
        case "cidrs": cidrs = try reader.strings()
        default: try reader.skip()
        }
    }

    func writeMembers(_ writer: inout JSONWriter) {
        writer.member("cidrs", cidrs)
    }
}
