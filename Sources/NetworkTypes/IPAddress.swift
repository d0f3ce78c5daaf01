// NetworkTypes: small values that every other module shares (addresses, prefixes, hardware addresses, transport
// protocols). No I/O, no dependency, not even Foundation.

/// The version of the Internet Protocol that an address, a pool or a rule belongs to.
public enum IPFamily: UInt8, Hashable, Sendable, CaseIterable, Codable {
    case ipv4 = 4
    case ipv6 = 6

    /// The length of an address in bits: 32 or 128.
    public var addressBits: Int { self == .ipv4 ? 32 : 128 }
    /// The length of an address in bytes: 4 or 16.
    public var addressBytes: Int { addressBits / 8 }
}

extension IPFamily: CustomStringConvertible {
    /// `IPv4` or `IPv6`, as Kubernetes spells it.
    public var description: String { self == .ipv4 ? "IPv4" : "IPv6" }
}

/// An IPv4 or IPv6 address.
///
/// An IPv4-mapped IPv6 address stays an IPv6 address, as in Go's `netip.Addr`. IPv4 sorts before IPv6.
public enum IPAddress: Hashable, Sendable {
    case v4(IPv4Address)
    case v6(IPv6Address)

    /// Reads 4 or 16 octets in network byte order; `nil` for any other number.
    @inlinable
    public init?(bytes: some Collection<UInt8>) {
        if let address = IPv4Address(bytes: bytes) {
            self = .v4(address)
        } else if let address = IPv6Address(bytes: bytes) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    public var family: IPFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }

    /// The octets in network byte order: 4 or 16.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }

    public var isUnspecified: Bool { self == .v4(.unspecified) || self == .v6(.unspecified) }

    /// Whether the address is in 127.0.0.0/8, or is ::1.
    public var isLoopback: Bool {
        switch self {
        case .v4(let address): address.bits >> 24 == 127
        case .v6(let address): address == .loopback
        }
    }

    /// The /32 or /128 that holds this address alone.
    public var hostPrefix: CIDR { CIDR(uncheckedAddress: self, prefixLength: family.addressBits) }

    /// The address `offset` further on, or `nil` beyond the end of the address space.
    public func advanced(by offset: UInt64) -> IPAddress? {
        switch self {
        case .v4(let address):
            guard let step = UInt32(exactly: offset) else { return nil }
            let (sum, overflow) = address.bits.addingReportingOverflow(step)
            return overflow ? nil : .v4(IPv4Address(bits: sum))
        case .v6(let address):
            let (low, carry) = address.low.addingReportingOverflow(offset)
            let (high, overflow) = address.high.addingReportingOverflow(carry ? 1 : 0)
            return overflow ? nil : .v6(IPv6Address(high: high, low: low))
        }
    }
}

extension IPAddress: Comparable {
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left < right
        case (.v6(let left), .v6(let right)): left < right
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

extension IPAddress: LosslessStringConvertible {
    /// Parses what Go's `netip.ParseAddr` accepts, except for a zone (see ``ZonedAddress``).
    public init?(_ text: String) {
        var text = text
        let parsed = text.withUTF8 { bytes in AddressParser.parse(bytes) }
        guard let parsed, parsed.zoneStart == nil else { return nil }
        self = parsed.address
    }

    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }
}

/// An address with the zone it is valid in, as `fe80::1%eth0`: exactly what Go's `netip.ParseAddr` accepts.
public struct ZonedAddress: Hashable, Sendable, LosslessStringConvertible {
    public let address: IPAddress
    /// The zone without its `%`, or `nil`; never empty, and only with IPv6.
    public let zone: String?

    public init?(_ text: String) {
        var text = text
        let parsed = text.withUTF8 { bytes in
            AddressParser.parse(bytes).map { parsed in
                (parsed.address, parsed.zoneStart.map { String(decoding: bytes[$0...], as: UTF8.self) })
            }
        }
        guard let parsed else { return nil }
        (address, zone) = parsed
    }

    /// Go prints an IPv4-mapped address with a zone as `::ffff:1.2.3.4%zone`; so do we.
    public var description: String { zone.map { "\(address)%\($0)" } ?? address.description }
}
