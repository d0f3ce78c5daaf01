import Glibc
import Netlink
import NetworkTypes

/// One attempt to put a pod's network in place.
struct PodAttachment {
    /// The steps, in order. Each is one system call, or a few writes to /proc/sys.
    enum Step: CaseIterable {
        /// Both ends of the veth pair, down.
        case links
        case hostSettings
        /// The host end up, its addresses, and the routes to the pod.
        case hostNetwork
        case containerSettings
        /// The container end up, its addresses, neighbours and routes.
        case containerNetwork
        /// Nothing more to do.
        case finished
    }

    private let request: PodNetworkRequest
    private let namespace: NetworkNamespace
    private let socket: NetlinkSocket
    private var plan: PodNetworkPlan
    /// The host end, from the moment that it is known to exist.
    private var hostLink: Link?
    /// Whether the pair was asked for and the kernel's answer is not known.
    private var mayHaveMadeLinks = false
    /// How often the names are cleared before somebody else must be at it.
    private static let attempts = 3

    /// Checks the request and opens what is needed; changes nothing.
    init(_ request: PodNetworkRequest) throws(PodNetworkError) {
        self.request = request
        plan = try PodNetworkPlan(request)
        namespace = try .openPod(request.namespacePath)
        socket = try PodNetworkError.translating { try NetlinkSocket() }
    }

    /// Carries out all steps. After an error, call ``rollBack(after:)``.
    ///
    /// - Parameter willPerform: Called before each step; what it throws ends the attempt there.
    mutating func run(
        willPerform: @Sendable (Step) throws(PodNetworkError) -> Void = { _ in }
    ) throws(PodNetworkError) -> PodInterfaces {
        try willPerform(.links)
        if let existing = try makeLinks() { return existing }
        guard let hostLink, let containerIndex = hostLink.peerIndex else {
            throw .system("interface \(plan.host.name) has no other end")
        }
        // Should something on the host have changed the address already, the pod must know the real one.
        let hostMAC = hostLink.mac ?? PodNetworkPlan.hostMAC

        try willPerform(.hostSettings)
        var warnings = try plan.host.applySettings()

        try willPerform(.hostNetwork)
        try HostRoutes(socket).install(plan.host, on: hostLink.index, owner: request.owner)

        let container = plan.container
        let (containerWarnings, containerLink) = try PodNetworkError.translating {
            try namespace.run {
                try willPerform(.containerSettings)
                let warnings = try container.applySettings()
                try willPerform(.containerNetwork)
                let requests = container.requests(on: containerIndex, peerMAC: hostMAC)
                let query = NetlinkQuery<Link>.link(.index(containerIndex))
                let outcomes = try NetlinkSocket().exchange(requests + [query.request])
                var link: Link?
                for outcome in outcomes { link = try query.element(in: outcome) }
                return (warnings, link)
            }
        }
        warnings += containerWarnings
        guard let containerLink else { throw .system("the kernel does not describe interface \(container.name)") }

        try willPerform(.finished)
        return try plan.interfaces(host: hostLink, container: containerLink, warnings: warnings)
    }

    /// Takes back all that was put in place: with the host end go the other end and every address, neighbour and route
    /// of both.
    ///
    /// - Returns: The error to report: `cause`, or that something is left.
    func rollBack(after cause: PodNetworkError) -> PodNetworkError {
        guard hostLink != nil || mayHaveMadeLinks else { return cause }
        do throws(NetlinkError) {
            try NetlinkSocket.removeIfPresent(hostLink.map { .index($0.index) } ?? .name(plan.host.name))
            return cause
        } catch {
            return .leftBehind(interface: plan.host.name, removal: PodNetworkError(error), cause: cause)
        }
    }

    // MARK: Links

    /// Makes the veth pair; what an earlier attempt left under its names is removed first.
    ///
    /// - Returns: What is in place already, when it is exactly what is asked for.
    private mutating func makeLinks() throws(PodNetworkError) -> PodInterfaces? {
        for _ in 0..<Self.attempts {
            let query = NetlinkQuery<Link>.link(.name(plan.host.name))
            mayHaveMadeLinks = true
            let outcomes = try PodNetworkError.translating {
                try socket.exchange([plan.linkRequest(in: namespace), query.request])
            }
            if case .failure(let error) = outcomes[0] {
                mayHaveMadeLinks = false
                guard error.isRefusal(EEXIST) else { throw PodNetworkError(error) }
            } else {
                hostLink = try PodNetworkError.translating { try query.element(in: outcomes[1]) }
                return nil
            }
            if let existing = try clearTheWay() { return existing }
        }
        throw .hostInterfaceExists(name: plan.host.name, description: "it comes back whenever it is removed")
    }

    /// Deals with an interface that has one of our names.
    ///
    /// - Returns: What is in place already, when it is exactly what is asked for. Otherwise the names are free now.
    /// - Throws: When the interface is not ours to remove.
    private mutating func clearTheWay() throws(PodNetworkError) -> PodInterfaces? {
        let found = try PodLinks(
            interfaceName: plan.container.name,
            hostInterfaceName: plan.host.name,
            in: namespace,
            host: socket
        )
        if let container = found.container {
            guard let host = found.hostEnd,
                host.name == plan.host.name || host.name == request.alternateHostInterfaceName
            else { throw .interfaceExists(name: plan.container.name) }
            if host.name != plan.host.name { try useAlternateName() }
            if try PodInspection(plan, owner: request.owner).differences(in: namespace).isEmpty {
                return try plan.interfaces(host: host, container: container, warnings: [])
            }
            try remove(host)
            return nil
        }
        guard let host = found.hostNamed else { return nil }  // it has gone meanwhile
        guard host.kind == "veth" else {
            throw .hostInterfaceExists(name: host.name, description: "it is not a pod's")
        }
        // Whoever made it may be at work on it and has not put its owner down yet; so only what is known to be ours, or
        // has the name that nobody else would take, is removed.
        if let alternate = request.alternateHostInterfaceName, host.alias != request.owner {
            if plan.host.name != alternate {
                try useAlternateName()
                return nil
            }
            if let owner = host.alias {
                throw .hostInterfaceExists(name: alternate, description: "it belongs to \(owner)")
            }
        }
        try remove(host)
        return nil
    }

    private mutating func useAlternateName() throws(PodNetworkError) {
        guard let alternate = request.alternateHostInterfaceName else { return }
        var request = request
        request.hostInterfaceName = alternate
        plan = try PodNetworkPlan(request)
    }

    private func remove(_ link: Link) throws(PodNetworkError) {
        try PodNetworkError.translating { try NetlinkSocket.removeIfPresent(.index(link.index)) }
    }
}

extension NetlinkSocket {
    /// Removes an interface of the host; one that is gone already is fine.
    static func removeIfPresent(_ link: LinkSelector) throws(NetlinkError) {
        do throws(NetlinkError) {
            try removeLink(link)
        } catch {
            guard error.isRefusal(ENODEV) else { throw error }
        }
    }
}

extension PodNetworkPlan {
    func interfaces(host: Link, container: Link, warnings: [String]) throws(PodNetworkError) -> PodInterfaces {
        PodInterfaces(
            host: try PodInterfaces.End(host),
            container: try PodInterfaces.End(container),
            routes: self.container.routes.compactMap { entry in
                entry.gateway.map {
                    PodInterfaces.Route(
                        destination: entry.destination,
                        gateway: $0,
                        mtu: entry.mtu,
                        priority: entry.route(on: container.index).metric
                    )
                }
            },
            warnings: warnings
        )
    }
}
