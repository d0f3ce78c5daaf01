import NFTables
import NetworkTypes

/// Takes apart keys that were read back; every step is `nil` when there are not enough bytes.
struct KeyReader {
    private let value: Concatenation
    private var offset = 0

    init(_ value: Concatenation) {
        self.value = value
    }

    /// The next bytes as a number in network byte order.
    private mutating func next<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
        let (start, size) = (offset, MemoryLayout<Number>.size)
        offset += (size + 3) & ~3
        return value.withBytes { bytes in
            start + size <= bytes.count
                ? Number(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: Number.self)) : nil
        }
    }

    private mutating func hostOrder() -> UInt32? { next(UInt32.self)?.bigEndian }

    func number() -> UInt32? {
        var reader = self
        return reader.hostOrder()
    }

    func address(of family: IPFamily) -> IPAddress? {
        var reader = self
        return reader.address(family)
    }

    private mutating func address(_ family: IPFamily) -> IPAddress? {
        guard family == .ipv6 else { return next(UInt32.self).map { .v4(IPv4Address(bits: $0)) } }
        guard let high = next(UInt64.self), let low = next(UInt64.self) else { return nil }
        return .v6(IPv6Address(high: high, low: low))
    }

    private mutating func key(_ scope: Scope, _ family: IPFamily) -> Frontend.Key? {
        let destination = scope == .service ? address(family) : nil
        guard let transport = next(UInt8.self).flatMap(TransportProtocol.init(rawValue:)), let port = next(UInt16.self)
        else { return nil }
        if scope == .nodePort { return .nodePort(family, transport, port) }
        return destination.map { .address($0, transport, port) }
    }

    func frontend(_ scope: Scope, _ family: IPFamily) -> Frontend.Key? {
        var reader = self
        return reader.key(scope, family)
    }

    func slot(_ scope: Scope, _ family: IPFamily) -> (Frontend.Key, Int)? {
        var reader = self
        guard let key = reader.key(scope, family), let index = reader.hostOrder() else { return nil }
        return (key, Int(index))
    }

    func endpoint(_ family: IPFamily) -> Destination? {
        var reader = self
        return reader.destination(family)
    }

    private mutating func destination(_ family: IPFamily) -> Destination? {
        guard let address = address(family), let port = next(UInt16.self) else { return nil }
        return Destination(address: address, port: port)
    }

    /// The number behind the word in front.
    func affinity() -> UInt32? {
        var reader = self
        guard reader.hostOrder() != nil else { return nil }
        return reader.hostOrder()
    }

    func member(_ family: IPFamily) -> AffinityMember? {
        var reader = self
        guard reader.hostOrder() != nil, let scope = reader.hostOrder(), let endpoint = reader.destination(family)
        else {
            return nil
        }
        return AffinityMember(scope: scope, endpoint: endpoint)
    }

    func allowed(_ family: IPFamily) -> (IPAddress, Frontend.Key)? {
        var reader = self
        guard let source = reader.address(family), let key = reader.key(.service, family) else { return nil }
        return (source, key)
    }
}
