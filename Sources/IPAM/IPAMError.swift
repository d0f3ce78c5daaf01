import ClusterClient
import NetworkTypes

/// Why IPAM could not do what it was asked.
public enum IPAMError: Error, Hashable, Sendable {
    /// The pools have no address left for this host (100).
    case poolExhausted(Shortage)
    /// A certain address was asked for and cannot be had (101).
    case addressUnavailable(IPAddress, String)
    /// The host has as many blocks as it may, and they are full (102).
    case blockLimit(Shortage)
    /// Only blocks of other hosts have room, and those may not be used (103).
    case strictAffinity(Shortage)
    /// Records contradict each other or cannot be read (104).
    case inconsistent(String)
    /// No pool may be used for this request, or one that was asked for does not exist or is disabled.
    case noPool(String)
    /// A pool that cannot be.
    case invalidPool(name: String, String)
    /// Something in the request itself.
    case invalidRequest(String)
    /// A release named another handle or sequence number than the address has now; nothing was released (R2).
    case staleRelease(IPAddress, String)
    /// Others kept getting in between, or the store was unavailable, until the time was up (11).
    case deadlineExceeded(String)
    /// The store refused or failed (5, 11).
    case datastore(DatastoreError)

    /// How far a request got, in the words that people look for (P13).
    public struct Shortage: Hashable, Sendable, CustomStringConvertible {
        public let family: IPFamily
        public let requested: Int
        public let available: Int
        public let reasons: [String]

        public var description: String {
            "assigned \(available) out of \(requested) requested \(family) addresses; "
                + reasons.joined(separator: "; ")
        }
    }
}

extension IPAMError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .poolExhausted(let shortage), .blockLimit(let shortage), .strictAffinity(let shortage):
            shortage.description
        case .addressUnavailable(let address, let reason): "address \(address) \(reason)"
        case .inconsistent(let problem): "the datastore is inconsistent: \(problem)"
        case .noPool(let problem), .invalidRequest(let problem), .deadlineExceeded(let problem): problem
        case .invalidPool(let name, let problem): "IP pool \(name): \(problem)"
        case .staleRelease(let address, let problem): "address \(address) was not released: \(problem)"
        case .datastore(let error): error.description
        }
    }
}
