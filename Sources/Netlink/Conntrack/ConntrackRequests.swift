import Glibc
import NetworkTypes

extension NetlinkRequest {
    static func conntrack(
        _ type: UInt16,
        flags: UInt16 = 0,
        _ family: IPFamily,
        summary: @autoclosure @escaping @Sendable () -> String,
        build: (inout MessageBuilder) -> Void
    ) -> NetlinkRequest {
        NetlinkRequest(
            type: type,
            flags: flags,
            headerLength: ConntrackMessage.headerLength,
            attributes: ConntrackAttribute.self,
            summary: summary()
        ) { builder in
            builder.append(family.socketFamily)
            builder.append(UInt8(0))  // NFNETLINK_V0
            builder.append(UInt16(0))
            build(&builder)
        }
    }

    /// Forgets one tracked connection; refused with ENOENT when it is gone, also when another with the same tuple has
    /// taken its place.
    public static func deleteConntrackEntry(_ entry: ConntrackEntry) -> NetlinkRequest {
        conntrack(
            ConntrackMessage.delete,
            entry.original.source.family,
            summary: "delete conntrack entry \(entry.original)"
        ) { builder in
            // Without a tuple the kernel would take the request for one to forget everything.
            builder.nested(ConntrackAttribute.original) { $0.append(entry.original) }
            if entry.zone != 0 { builder.attribute(ConntrackAttribute.zone, entry.zone.bigEndian) }
            if let id = entry.id { builder.attribute(ConntrackAttribute.id, id.bigEndian) }
        }
    }

    /// - Parameter transport: only connections of this protocol, where the kernel can filter.
    static func listConntrackEntries(_ family: IPFamily, transport: UInt8?) -> NetlinkRequest {
        conntrack(
            ConntrackMessage.get,
            flags: MessageFlags.dump,
            family,
            summary: "list \(family) conntrack entries"
        ) { builder in
            guard let transport else { return }
            builder.nested(ConntrackAttribute.original) { builder in
                builder.nested(ConntrackTupleAttribute.transport) { builder in
                    builder.attribute(ConntrackTransportAttribute.number, transport)
                }
            }
            builder.nested(ConntrackAttribute.filter) { builder in
                builder.attribute(ConntrackFilterAttribute.original, ConntrackFilterAttribute.transportNumber)
            }
        }
    }
}

extension MessageBuilder {
    fileprivate mutating func append(_ tuple: ConntrackTuple) {
        let isIPv4 = tuple.source.family == .ipv4
        nested(ConntrackTupleAttribute.addresses) { builder in
            builder.attribute(isIPv4 ? ConntrackAddressAttribute.sourceIPv4 : .sourceIPv6, tuple.source)
            builder.attribute(isIPv4 ? ConntrackAddressAttribute.destinationIPv4 : .destinationIPv6, tuple.destination)
        }
        nested(ConntrackTupleAttribute.transport) { builder in
            builder.attribute(ConntrackTransportAttribute.number, tuple.transport)
            builder.attribute(ConntrackTransportAttribute.sourcePort, tuple.sourcePort.bigEndian)
            builder.attribute(ConntrackTransportAttribute.destinationPort, tuple.destinationPort.bigEndian)
        }
        if let zone = tuple.zone { attribute(ConntrackTupleAttribute.zone, zone.bigEndian) }
    }
}

extension NetlinkQuery<ConntrackEntry> {
    /// The tracked connections of a family and a transport protocol.
    ///
    /// - Parameter isFilteredByKernel: whether the kernel leaves out other protocols (since Linux 5.8; older ones pass
    ///   over the wish). They are left out here in any case.
    static func conntrackEntries(
        _ family: IPFamily,
        _ transport: TransportProtocol,
        isFilteredByKernel: Bool
    ) -> NetlinkQuery {
        let number = transport.rawValue
        return NetlinkQuery(
            .listConntrackEntries(family, transport: isFilteredByKernel ? number : nil)
        ) { message throws(MalformedMessage) in
            guard let entry = try ConntrackEntry(message), entry.original.transport == number else { return nil }
            return entry
        }
    }
}

extension NetlinkQuery<UInt32> {
    /// How many connections are tracked in this network namespace. Being asked, a kernel that has connection tracking
    /// as a module loads it.
    public static var conntrackCount: NetlinkQuery {
        NetlinkQuery(
            NetlinkRequest(
                type: ConntrackMessage.statistics,
                headerLength: ConntrackMessage.headerLength,
                attributes: ConntrackStatisticsAttribute.self,
                summary: "count conntrack entries"
            ) { $0.append(UInt32(0)) }
        ) { message throws(MalformedMessage) in
            guard message.type == ConntrackMessage.statistics else { return nil }
            let attributes = try message.split(headerLength: ConntrackMessage.headerLength).attributes
            return try attributes.integer(ConntrackStatisticsAttribute.entries, as: UInt32.self).map(
                UInt32.init(bigEndian:)
            )
        }
    }
}

extension NetlinkSocket {
    /// How often a list is asked for when the kernel says that its table changed meanwhile.
    private static let conntrackAttempts = 3

    /// The tracked connections that `isIncluded` wants, on a socket of ``NetlinkProtocol/netfilter``.
    ///
    /// The table of a busy node never holds still, so that what is there in the end counts, complete or not.
    ///
    /// - Parameter limit: how many at most.
    public func conntrackEntries(
        _ family: IPFamily,
        _ transport: TransportProtocol,
        limit: Int = .max,
        where isIncluded: @escaping @Sendable (ConntrackEntry) -> Bool
    ) throws(NetlinkError) -> [ConntrackEntry] {
        func list(isFilteredByKernel: Bool) throws(NetlinkError) -> [ConntrackEntry] {
            let query = NetlinkQuery.conntrackEntries(family, transport, isFilteredByKernel: isFilteredByKernel)
            return try listWhatever(query.filter(isIncluded), limit: limit, attempts: Self.conntrackAttempts)
        }
        do throws(NetlinkError) {
            return try list(isFilteredByKernel: true)
        } catch {
            guard case .refused = error.cause, !error.isPermission else { throw error }
            return try list(isFilteredByKernel: false)
        }
    }

    /// Forgets tracked connections.
    ///
    /// - Returns: how many; fewer than given when some were gone before.
    public func deleteConntrackEntries(_ entries: [ConntrackEntry]) throws(NetlinkError) -> Int {
        var count = 0
        for outcome in try exchange(entries.map { .deleteConntrackEntry($0) }) {
            switch outcome {
            case .success: count += 1
            case .failure(let error): guard error.isRefusal(ENOENT) else { throw error }
            }
        }
        return count
    }
}
