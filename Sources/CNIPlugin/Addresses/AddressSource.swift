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
    func assign() async throws(CNIError) -> NetworkResult

    /// Whether ``assign()`` may give other addresses than it gave before.
    var givesOthers: Bool { get }

    /// Gives back all that the attachment has. Succeeds when it has nothing.
    func release() async throws(CNIError)

    /// What is recorded of this source beside the addresses that it granted.
    func record(of granted: NetworkResult) throws(CNIError) -> WorkloadEndpoint.Source
}

extension AddressSettings {
    /// Whether the addresses are what these settings would give, so that they can be given again.
    func areMet(by addresses: [IPAddress]) -> Bool {
        requested.isEmpty
            ? addresses.count == families.count && Set(addresses.map(\.family)) == families
            : Set(addresses) == Set(requested)
    }
}
