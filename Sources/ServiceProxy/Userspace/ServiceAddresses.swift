import Glibc
import Netlink
import NetworkTypes

/// The addresses that this node has only because Services have them: on a dummy interface, or on loopback where the kernel
/// knows no dummy interfaces.
///
/// On loopback each carries a mark (IFA_PROTO), so that those of an earlier process are known and nobody else's are touched.
struct ServiceAddresses {
    /// Our mark. The kernel itself uses 1 to 3 (linux/if_addr.h).
    static let origin: UInt8 = 0x53

    private let socket: NetlinkSocket
    private let interfaceName: String
    private let kind: String
    private var interface: InterfaceIndex
    /// Whether the interface is ours alone.
    private var isDedicated: Bool
    /// Whether the kernel keeps marks.
    private let knowsOrigins: Bool
    /// IPv6 addresses that were added and may not be reachable yet.
    private var fresh: [IPAddress] = []
    /// With how many frontends need each.
    private var uses: [IPAddress: Int] = [:]

    private static let loopback: InterfaceIndex = 1

    /// Makes the interface if there can be one.
    ///
    /// - Parameters:
    ///   - kind: of the interface.
    ///   - kernel: decides whether marks are kept (Linux 5.18).
    /// - Throws: `NetlinkError` without CAP_NET_ADMIN, and when another kind of interface has the name.
    init(
        interfaceName: String,
        in namespace: NetworkNamespace?,
        kind: String = "dummy",
        kernel: KernelVersion? = .running
    ) throws {
        socket = try Self.socket(in: namespace)
        self.interfaceName = interfaceName
        self.kind = kind
        knowsOrigins = kernel.map { $0 >= KernelVersion(major: 5, minor: 18) } ?? true
        let own = try Self.makeInterface(interfaceName, kind, socket)
        interface = own ?? Self.loopback
        isDedicated = own != nil
    }

    /// Makes the interface again if someone has removed it, and sets it up.
    mutating func reopen() throws {
        guard isDedicated else { return }
        let own = try Self.makeInterface(interfaceName, kind, socket)
        (interface, isDedicated) = (own ?? Self.loopback, own != nil)
    }

    /// Whether the interface is there and up; loopback is left to its owner.
    var isUp: Bool {
        guard isDedicated else { return true }
        let link = try? socket.get(.link(.name(interfaceName)))
        return link.map { $0.index == interface && $0.isUp } ?? false
    }

    /// - Returns: `nil` when the kernel has no such interfaces.
    private static func makeInterface(
        _ name: String,
        _ kind: String,
        _ socket: NetlinkSocket
    ) throws -> InterfaceIndex? {
        do {
            try socket.send(.addLink(name: name, kind: kind))
        } catch {
            if error.isRefusal(EOPNOTSUPP) { return nil }
            // It may be there, of an earlier process.
            guard error.isRefusal(EEXIST) else { throw error }
        }
        let link = try socket.get(.link(.name(name)))
        guard link.kind == kind else { throw ServiceAddressesError.taken(name, by: link.kind ?? "other") }
        try socket.send(.setLink(.index(link.index), up: true))
        return link.index
    }

    private static func socket(in namespace: NetworkNamespace?) throws -> NetlinkSocket {
        if let namespace { try NetlinkSocket(in: namespace) } else { try NetlinkSocket() }
    }

    /// In words for the log.
    var place: String { isDedicated ? interfaceName : "loopback" }

    /// Those that frontends need.
    var wanted: Set<IPAddress> { Set(uses.keys) }

    /// Those that are there, of this or an earlier process.
    func present() throws -> Set<IPAddress> { Set(try entries().map(\.address)) }

    private func entries() throws -> [InterfaceAddress] {
        let all: [InterfaceAddress]
        do {
            all = try socket.list(.addresses(on: interface))
        } catch {
            // Without the interface there are none.
            guard error.isRefusal(ENODEV) else { throw error }
            return []
        }
        return all.filter(isOurs)
    }

    private func isOurs(_ entry: InterfaceAddress) -> Bool {
        // The kernel gives an interface that is up a link-local address.
        if isDedicated { return entry.scope != .link }
        if knowsOrigins { return entry.origin == Self.origin }
        // Of an earlier process nothing can be known then.
        return uses[entry.address] != nil && entry.prefix == entry.address.hostPrefix
    }

    /// - Returns: whether the node has it for Services; else it is somebody else's, and stays so.
    mutating func take(_ address: IPAddress) throws -> Bool {
        if uses[address] == nil { guard try add(address) else { return false } }
        uses[address, default: 0] += 1
        return true
    }

    /// - Returns: whether it is ours.
    private mutating func add(_ address: IPAddress) throws -> Bool {
        let entry = InterfaceAddress(
            address.hostPrefix,
            on: interface,
            flags: .noDuplicateDetection,
            origin: Self.origin
        )
        do {
            try socket.send(.addAddress(entry))
        } catch {
            // It may be there, of an earlier process or of someone else.
            guard error.isRefusal(EEXIST) else { throw error }
            return try present().contains(address)
        }
        if address.family == .ipv6 { fresh.append(address) }
        return true
    }

    /// Leaves addresses to others who have put them on the node meanwhile.
    mutating func leave(_ others: Set<IPAddress>) {
        for address in others where uses.removeValue(forKey: address) != nil { fresh.removeAll { $0 == address } }
    }

    /// Whether packets for all addresses come to this node. The kernel makes the local route of an IPv6 address a moment after
    /// it has taken the address, and until then forwards packets that are for it.
    mutating func areReachable() -> Bool {
        fresh.removeAll { Self.isLocal($0, socket) }
        return fresh.isEmpty
    }

    /// Whether there is a local route to an address.
    static func isLocal(_ address: IPAddress, _ socket: NetlinkSocket) -> Bool {
        do {
            _ = try socket.get(.route(toward: address))
            return false
        } catch {
            return error.cause == .noAnswer  // A route of a kind that `Route` leaves out.
        }
    }

    mutating func give(_ address: IPAddress) throws(NetlinkError) {
        guard let count = uses[address] else { return }
        guard count == 1 else {
            uses[address] = count - 1
            return
        }
        uses[address] = nil
        fresh.removeAll { $0 == address }
        do {
            try socket.send(.deleteAddress(InterfaceAddress(address.hostPrefix, on: interface)))
        } catch {
            // Someone else may have removed it, or the interface.
            guard error.isRefusal(EADDRNOTAVAIL) || error.isRefusal(ENODEV) else { throw error }
        }
    }

    /// Puts back what others have removed, and removes what nobody needs.
    ///
    /// - Returns: how many addresses that were.
    mutating func repair() throws -> Int {
        let present = try present()
        let missing = wanted.subtracting(present)
        for address in missing {
            if try !add(address) { leave([address]) }
        }
        let surplus = present.subtracting(wanted)
        for address in surplus {
            try socket.send(.deleteAddress(InterfaceAddress(address.hostPrefix, on: interface)))
        }
        return missing.count + surplus.count
    }

    /// Removes every trace of this and earlier processes, on loopback as well as on the interface.
    static func cleanUp(interfaceName: String, in namespace: NetworkNamespace?) throws {
        let socket = try socket(in: namespace)
        do {
            if try socket.get(.link(.name(interfaceName))).kind == "dummy" {
                try socket.send(.deleteLink(.name(interfaceName)))
            }
        } catch {
            // Mostly nothing was left there.
            guard error.isRefusal(ENODEV) else { throw error }
        }
        for entry in try socket.list(.addresses(on: loopback)) where entry.origin == origin {
            try socket.send(.deleteAddress(InterfaceAddress(entry.prefix, on: loopback)))
        }
    }
}

enum ServiceAddressesError: Error, Hashable, CustomStringConvertible {
    case taken(String, by: String)

    var description: String {
        switch self {
        case .taken(let name, let kind):
            "interface \(name) is of kind \(kind), not a dummy for the addresses of Services: remove it or give another name"
        }
    }
}
