import ClusterClient
import KubernetesAPI
import NetworkTypes

/// What becomes of one address, wherever it lies: `ipam show --ip`.
public struct AddressReport: Hashable, Sendable {
    public let address: IPAddress
    public let state: AddressState
    /// The pool that has the address, enabled or not; `nil` when there is none (any more).
    public let pool: String?
    public let poolIsDisabled: Bool
    /// The block, when it exists.
    public let block: CIDR?
    /// Who the block is affine to.
    public let affinity: BlockOwner?
}

public enum AddressState: Hashable, Sendable {
    case assigned(AddressAssignment)
    /// Released, and not to be used again before the cooldown is over.
    case coolingDown(since: Timestamp)
    /// Free, but left out of auto-assignment.
    case reserved
    case notAssigned
}

public struct AddressAssignment: Hashable, Sendable {
    public let handle: String?
    /// The active owner.
    public let attributes: [String: String]
    public let alternateOwner: [String: String]
    public let sequenceNumber: UInt64
}

extension AddressReport {
    /// Looks an address up in the block it belongs to, also when its pool is disabled or gone.
    public static func read(
        _ address: IPAddress,
        from datastore: any Datastore,
        now: Timestamp = .now
    ) async throws(IPAMError) -> AddressReport {
        let answers = try await IPAMUsage.records(
            datastore,
            [
                .collection(.resources(.ipPools)), .collection(.resources(.ipReservations)),
                .record(IPAMConfiguration.recordKey),
            ]
        )
        let cooldown = IPAMConfiguration.cooldown(answers[2].first)
        func block(_ cidr: CIDR) async throws(IPAMError) -> Block? {
            let record = try await IPAMUsage.records(datastore, [.record(.block(cidr))]).first?.first
            return try record.map { (record) throws(IPAMError) in try Block(record, now: now, cooldown: cooldown) }
        }
        let pool = PoolList(answers[0]).pools.first { $0.cidr.contains(address) }
        let reserved = try ReservedRanges(reservations: answers[1])
        var found: Block?
        if let pool { found = try await block(pool.block(of: address)) }
        if found == nil, let cidr = try await blockOutsidePools(address, datastore) { found = try await block(cidr) }
        return AddressReport(
            address: address,
            state: AddressState(address, in: found, reserved: reserved),
            pool: pool?.name,
            poolIsDisabled: pool?.spec.isDisabled ?? false,
            block: found?.cidr,
            affinity: found?.affinity
        )
    }

    /// The block of an address that is not where its pool has blocks: one of a pool that is gone, or that was made anew
    /// with another block size.
    private static func blockOutsidePools(
        _ address: IPAddress,
        _ datastore: any Datastore
    ) async throws(IPAMError) -> CIDR? {
        do throws(DatastoreError) {
            for case .block(let cidr) in try await datastore.keys(.blocks(address.family)) where cidr.contains(address)
            {
                return cidr
            }
            return nil
        } catch {
            throw .datastore(error)
        }
    }
}

extension AddressState {
    init(_ address: IPAddress, in block: Block?, reserved: ReservedRanges) {
        if let block, let ordinal = block.ordinal(of: address), let attribute = block.attribute(ordinal) {
            if let releasedAt = attribute.releasedAt {
                self = .coolingDown(since: releasedAt)
            } else {
                self = .assigned(
                    AddressAssignment(
                        handle: attribute.handle,
                        attributes: attribute.secondary,
                        alternateOwner: attribute.alternateOwner,
                        sequenceNumber: block.sequenceNumber(of: ordinal)
                    )
                )
            }
        } else {
            self = reserved.contains(address) ? .reserved : .notAssigned
        }
    }
}
