import CNI
import NetworkTypes

/// Where the addresses of one attachment come from and go back to.
protocol AddressSource: Sendable {
    /// What the attachment has already, from an earlier attempt; empty when nothing.
    func held() async throws(CNIError) -> [IPAddress]

    /// What ``assign()`` would give of addresses that are held; `nil` when something else is wanted.
    func granting(_ held: [IPAddress]) throws(CNIError) -> NetworkResult?

    /// Takes all the addresses that the configuration asks for, or, when it throws, none. The result has addresses
    /// and may have routes and resolver settings, but no interfaces (C8).
    func assign() async throws(CNIError) -> Grant

    /// Whether ``assign()`` may give other addresses than it gave before.
    var givesOthers: Bool { get }

    /// Gives back all that the attachment has. Succeeds when it has nothing.
    func release() async throws(CNIError)

    /// What is recorded of this source beside the addresses that it granted.
    func record(of granted: NetworkResult) throws(CNIError) -> WorkloadEndpoint.Source
}

/// The addresses that an attachment got.
struct Grant: Sendable {
    var result: NetworkResult
    /// The attachment's endpoint, when the source wrote it in the same transaction as it took the addresses.
    var recorded: WorkloadEndpoint?
}

/// The endpoint of an attachment whose addresses are about to be chosen.
struct EndpointPlan: Sendable {
    /// What is recorded in its place now.
    let stored: EndpointRecords.Stored?
    /// The endpoint with its addresses. Throws what recording it would.
    let endpoint: @Sendable ([IPAddress]) throws(CNIError) -> WorkloadEndpoint
}

extension AddressSettings {
    /// Whether the addresses are what these settings would give, so that they can be given again.
    func areMet(by addresses: [IPAddress]) -> Bool {
        requested.isEmpty
            ? addresses.count == families.count && Set(addresses.map(\.family)) == families
            : Set(addresses) == Set(requested)
    }
}
