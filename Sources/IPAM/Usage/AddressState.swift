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
    public static func read(_ address: IPAddress, from datastore: any Datastore) async throws(IPAMError)
        -> AddressReport
    {
        let answers = try await IPAMUsage.records(
            datastore,
            [.collection(.resources(.ipPools)), .collection(.resources(.ipReservations))]
        )
        let pool = PoolList(answers[0]).pools.first { $0.cidr.contains(address) }
        let reserved = try ReservedRanges(reservations: answers[1])
        var cidr = pool?.block(of: address)
        if cidr == nil {
            do throws(DatastoreError) {
                for case .block(let candidate) in try await datastore.keys(.blocks(address.family))
                where candidate.contains(address) {
                    cidr = candidate
                }
            } catch {
                throw .datastore(error)
            }
        }
        var block: Block?
        if let cidr, let record = try await IPAMUsage.records(datastore, [.record(.block(cidr))]).first?.first {
            block = try Block(record)
        }
        return AddressReport(
            address: address,
            state: AddressState(address, in: block, reserved: reserved),
            pool: pool?.name,
            poolIsDisabled: pool?.spec.isDisabled ?? false,
            block: block?.cidr,
            affinity: block?.affinity
        )
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
