import NetworkTypes

/// Where in a tracked connection an address can stand.
private enum ConntrackPlace: CaseIterable {
    case originalSource
    case originalDestination
    /// Where the first packet was sent to in the end, when it was translated.
    case replySource
}

extension ConntrackEntry {
    /// Whether packets from or to the address belong to the connection, translated or not.
    public func concerns(_ address: IPAddress) -> Bool {
        original.source == address || original.destination == address || reply.source == address
    }
}

extension NetlinkSocket {
    /// The tracked connections with ports from or to an address, on a socket of ``NetlinkProtocol/netfilter``.
    ///
    /// The kernel looks through its table three times and gives only what is wanted, since Linux 5.8; an older one gives
    /// the whole table, which is looked through here.
    ///
    /// - Parameter limit: how many at most.
    public func conntrackEntries(of address: IPAddress, limit: Int) throws(NetlinkError) -> [ConntrackEntry] {
        func list(_ request: NetlinkRequest) throws(NetlinkError) -> [ConntrackEntry] {
            let query = NetlinkQuery<ConntrackEntry>(request) { message throws(MalformedMessage) in
                guard let entry = try ConntrackEntry(message), entry.concerns(address) else { return nil }
                return entry
            }
            return try listWhatever(query, limit: limit, attempts: 3)
        }
        do throws(NetlinkError) {
            var entries: Set<ConntrackEntry> = []
            for place in ConntrackPlace.allCases {
                entries.formUnion(try list(.listConntrackEntries(of: address, at: place)))
            }
            return Array(entries.prefix(limit))
        } catch {
            guard case .refused = error.cause, !error.isPermission else { throw error }
            return try list(.listConntrackEntries(address.family, transport: nil))
        }
    }
}

extension NetlinkRequest {
    fileprivate static func listConntrackEntries(of address: IPAddress, at place: ConntrackPlace) -> NetlinkRequest {
        let isIPv4 = address.family == .ipv4
        let isSource = place != .originalDestination
        let isReply = place == .replySource
        return conntrack(
            ConntrackMessage.get,
            flags: MessageFlags.dump,
            address.family,
            summary: "list conntrack entries of \(address)"
        ) { builder in
            builder.nested(isReply ? ConntrackAttribute.reply : .original) { builder in
                builder.nested(ConntrackTupleAttribute.addresses) { builder in
                    let attribute: ConntrackAddressAttribute =
                        switch (isIPv4, isSource) {
                        case (true, true): .sourceIPv4
                        case (true, false): .destinationIPv4
                        case (false, true): .sourceIPv6
                        case (false, false): .destinationIPv6
                        }
                    builder.attribute(attribute, address)
                }
            }
            builder.nested(ConntrackAttribute.filter) { builder in
                let bit = isSource ? ConntrackFilterAttribute.source : ConntrackFilterAttribute.destination
                // The kernel takes none of the two for an error of its own kind, so both are there.
                builder.attribute(ConntrackFilterAttribute.original, isReply ? 0 : bit)
                builder.attribute(ConntrackFilterAttribute.reply, isReply ? bit : 0)
            }
        }
    }
}
