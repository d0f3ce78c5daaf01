import NFTables
import NetworkTypes

/// What a trace asks the node that it is about.
public struct TraceNode: Sendable {
    /// The addresses of its interfaces.
    let localAddresses: @Sendable () -> Set<IPAddress>
    /// Its address towards another; `nil` when it knows no way there.
    let sourceAddress: @Sendable (IPAddress) -> IPAddress?
    /// Where the endpoints of clients are remembered; `nil` where that cannot be looked up.
    let kernel: (any NFTablesKernel)?

    public init(
        kernel: (any NFTablesKernel)?,
        localAddresses: @escaping @Sendable () -> Set<IPAddress> = { LocalNode.addresses() ?? [] },
        sourceAddress: @escaping @Sendable (IPAddress) -> IPAddress? = { LocalNode.sourceAddress(towards: $0) }
    ) {
        self.kernel = kernel
        self.localAddresses = localAddresses
        self.sourceAddress = sourceAddress
    }

    /// Puts into a simulated table what the kernel remembers of a client.
    ///
    /// - Parameter frontend: the one that the client dials; its scopes have other numbers in the kernel.
    func recall(_ client: IPAddress, at frontend: Frontend.Key, of table: ServiceTable, into ruleset: inout Ruleset)
        throws
    {
        guard let kernel else { return }
        let maps = table.maps
        let key = Key.frontend(frontend)
        for map in [maps[frontend.scope].affinity, maps[frontend.scope].nearAffinity] {
            guard let simulated = ruleset.element(key, in: map.name)?.affinityScope,
                let real = try kernel.element(key, of: map, in: table.table)?.affinityScope,
                let memory = try kernel.element(Key.client(client, of: real), of: maps.affinityMemory, in: table.table),
                case .data(let data) = memory.value, let member = KeyReader(data).member(table.family)
            else { continue }
            let element = Element(
                Key.client(client, of: simulated),
                .data(Key.affinity(AffinityMember(scope: simulated, endpoint: member.endpoint)))
            )
            ruleset.set(element, in: maps.affinityMemory.name)
        }
    }
}

extension Element {
    /// Of `affinity` and `near-affinity`.
    fileprivate var affinityScope: UInt32? {
        if case .data(let data) = value { KeyReader(data).affinity() } else { nil }
    }
}
