import Glibc
import NetworkTypes

/// What the operating system says about the machine that we run on.
public enum LocalNode {
    /// The host name as `gethostname(2)` has it.
    public static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The addresses of all interfaces, loopback included; `nil` when they cannot be read.
    public static func addresses() -> Set<IPAddress>? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var addresses: Set<IPAddress> = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ifa_addr.flatMap(address) { addresses.insert(address) }
            next = entry.pointee.ifa_next
        }
        return addresses
    }

    private static func address(_ socketAddress: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        switch CInt(socketAddress.pointee.sa_family) {
        case AF_INET:
            socketAddress.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                .v4(IPv4Address(bits: UInt32(bigEndian: pointer.pointee.sin_addr.s_addr)))
            }
        case AF_INET6:
            socketAddress.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { IPAddress(bytes: $0) }
            }
        default: nil
        }
    }

    /// The address that the node uses towards another; `nil` when it knows no way there. Nothing is sent.
    public static func sourceAddress(towards destination: IPAddress) -> IPAddress? {
        let isIPv4 = destination.family == .ipv4
        let descriptor = socket(
            isIPv4 ? AF_INET : AF_INET6,
            CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue),
            0
        )
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // struct sockaddr_in and sockaddr_in6: family, port, then (flow label and) address.
        var storage = sockaddr_storage()
        storage.ss_family = sa_family_t(isIPv4 ? AF_INET : AF_INET6)
        withUnsafeMutableBytes(of: &storage) { bytes in
            bytes[3] = 9  // Any port does.
            for (index, byte) in destination.bytes.enumerated() { bytes[(isIPv4 ? 4 : 8) + index] = byte }
        }
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                guard connect(descriptor, pointer, length) == 0, getsockname(descriptor, pointer, &length) == 0 else {
                    return nil
                }
                return address(pointer)
            }
        }
    }

    /// The families that the kernel has switched on: IPv4 always, IPv6 unless it is missing or disabled (1.4).
    public static var families: Set<IPFamily> {
        guard access("/proc/net/if_inet6", F_OK) == 0 else { return [.ipv4] }
        return text(of: "/proc/sys/net/ipv6/conf/all/disable_ipv6").hasPrefix("1") ? [.ipv4] : [.ipv4, .ipv6]
    }

    /// Whether this process may change the rules of its network namespace: CAP_NET_ADMIN is effective.
    public static var mayAdministerNetwork: Bool {
        let capability: UInt64 = 12  // CAP_NET_ADMIN
        for line in text(of: "/proc/self/status").split(separator: "\n")
        where line.hasPrefix("CapEff:") {
            guard let mask = UInt64(line.dropFirst(7).drop(while: \.isWhitespace), radix: 16) else { break }
            return mask & (1 << capability) != 0
        }
        return geteuid() == 0
    }

    /// The processors of the machine that are switched on, whether this process may use them or not; at least 1.
    public static var processorCount: Int {
        count(processors: text(of: "/sys/devices/system/cpu/online")) ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    /// How many processors a list names, as `0-3,8`; `nil` when it is none.
    static func count(processors list: String) -> Int? {
        var count = 0
        for range in list.split(separator: ",") {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map { Int($0.trimmed) }
            guard (1...2).contains(ends.count), let first = ends.first ?? nil, let last = ends.last ?? nil,
                first >= 0, first <= last, last < 1 << 20
            else { return nil }
            count += last - first + 1
        }
        return count > 0 ? count : nil
    }

    /// The whole of a file of /proc or /sys; empty when there is none.
    static func text(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 8192)
        while bytes.count < 1 << 20 {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
