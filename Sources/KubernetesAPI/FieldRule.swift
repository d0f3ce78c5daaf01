import NetworkTypes

/// What a field of the API may hold, for every encoding that objects come in.
public enum FieldRule {
    /// Why a value is not allowed in its field, in one clause for a person.
    public struct Violation: Error, Hashable, Sendable {
        public let reason: String
    }

    /// Old servers let in IPv4 octets with leading zeros: they are read as decimal (1.3).
    public static func address(_ text: String) throws(Violation) -> IPAddress {
        guard let address = addressIfValid(text) else {
            throw Violation(reason: "\"\(text.prefix(64))\" is not an IP address")
        }
        return address
    }

    /// The same for fields that also hold something else.
    public static func addressIfValid(_ text: String) -> IPAddress? {
        IPAddress(text) ?? withoutLeadingZeros(text)
    }

    /// A prefix in `ADDRESS/LENGTH` form; host bits are dropped.
    public static func prefix(_ text: String) throws(Violation) -> CIDR {
        guard let prefix = CIDR(text) else {
            throw Violation(reason: "\"\(text.prefix(64))\" is not a CIDR like 10.96.0.0/16")
        }
        return prefix.masked
    }

    /// An entry of `clusterIPs`: an address, or `nil` for "None" and for nothing yet.
    public static func clusterIP(_ text: String) throws(Violation) -> IPAddress? {
        text.isEmpty || text == "None" ? nil : try address(text)
    }

    /// A Service has one cluster IP of each family.
    public static func onePerFamily(_ addresses: [IPAddress]) throws(Violation) -> [IPAddress] {
        for (index, address) in addresses.enumerated()
        where addresses[..<index].contains(where: { $0.family == address.family }) {
            throw Violation(reason: "more than one \(address.family) address")
        }
        return addresses
    }

    /// A slice holds addresses of one family.
    public static func address(_ address: IPAddress, ofType family: IPFamily) throws(Violation) {
        guard address.family == family else {
            throw Violation(reason: "\(address) is not an \(family) address, as addressType promises")
        }
    }

    /// TCP when absent or empty, as the API server has it.
    public static func transport(_ text: String?) throws(Violation) -> TransportProtocol {
        guard let text, !text.isEmpty else { return .tcp }
        guard let transport = TransportProtocol(text) else {
            throw Violation(reason: "\"\(text.prefix(64))\" is not a protocol: expected TCP, UDP or SCTP")
        }
        return transport
    }

    /// Absent is 0, which no port has.
    public static func port(_ number: Int64?, allowingZero: Bool = true) throws(Violation) -> UInt16 {
        let least = allowingZero ? 0 : 1
        let number = number ?? 0
        guard let port = UInt16(exactly: number), port >= least else {
            throw Violation(reason: "\(number) is not a port number from \(least) to 65535")
        }
        return port
    }

    /// One of the words that the API knows for a field; `nil` when absent or empty.
    public static func word<Word: RawRepresentable & CaseIterable>(
        _ text: String?,
        as type: Word.Type = Word.self
    ) throws(Violation) -> Word? where Word.RawValue == String {
        guard let text, !text.isEmpty else { return nil }
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw Violation(reason: "\"\(text.prefix(64))\" is not one of \(known)")
        }
        return word
    }

    /// Three hours when absent, as the API server fills it in.
    public static func affinityTimeout(_ seconds: Int64?) throws(Violation) -> UInt32 {
        guard let seconds else { return Service.defaultAffinityTimeout }
        guard (1...86400).contains(seconds) else {
            throw Violation(reason: "\(seconds) is not a number of seconds from 1 to 86400")
        }
        return UInt32(seconds)
    }

    public static func time(_ text: String) throws(Violation) -> Timestamp {
        guard let time = Timestamp(text) else {
            throw Violation(reason: "\"\(text.prefix(64))\" is not an RFC 3339 time")
        }
        return time
    }

    private static func withoutLeadingZeros(_ text: String) -> IPAddress? {
        let octets = text.split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4 else { return nil }
        let trimmed = octets.map { octet in
            let significant = octet.drop { $0 == "0" }
            return significant.isEmpty && !octet.isEmpty ? "0" : significant
        }
        return IPAddress(trimmed.joined(separator: "."))
    }
}
