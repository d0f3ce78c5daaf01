import Glibc
import NetworkTypes

/// A `struct sockaddr_in` or `sockaddr_in6`, in a buffer that has room for either.
struct SocketAddress {
    private var storage = sockaddr_in6()
    private var length = socklen_t(MemoryLayout<sockaddr_in6>.size)

    /// Room for an address that the kernel is to fill in.
    init() {}

    /// - Parameter scope: the interface of a link-local IPv6 address (`sin6_scope_id`); 0 for any other.
    init(_ address: TransportAddress, scope: UInt32 = 0) {
        switch address.address {
        case .v4(let ip):
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = address.port.bigEndian
            value.sin_addr.s_addr = ip.bits.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in.self) }
        case .v6(let ip):
            storage.sin6_family = sa_family_t(AF_INET6)
            storage.sin6_port = address.port.bigEndian
            storage.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &storage.sin6_addr) { bytes in
                bytes.storeBytes(of: ip.high.bigEndian, toByteOffset: 0, as: UInt64.self)
                bytes.storeBytes(of: ip.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
        }
    }

    /// `nil` for an address of another family.
    var value: TransportAddress? {
        switch Int32(storage.sin6_family) {
        case AF_INET:
            let value = withUnsafeBytes(of: storage) { $0.load(as: sockaddr_in.self) }
            let ip = IPv4Address(bits: UInt32(bigEndian: value.sin_addr.s_addr))
            return TransportAddress(.v4(ip), UInt16(bigEndian: value.sin_port))
        case AF_INET6:
            return TransportAddress(.v6(IPv6Address(storage.sin6_addr)), UInt16(bigEndian: storage.sin6_port))
        default: return nil
        }
    }

    var scope: UInt32 { Int32(storage.sin6_family) == AF_INET6 ? storage.sin6_scope_id : 0 }

    func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    mutating func withMutable<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        defer { self.length = length }
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
        }
    }
}

extension IPv6Address {
    init(_ address: in6_addr) {
        self = withUnsafeBytes(of: address) { bytes in
            IPv6Address(
                high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }
}
