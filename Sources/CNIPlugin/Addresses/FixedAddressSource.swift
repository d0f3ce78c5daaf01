import CNI
import NetworkTypes

/// Addresses that IPAM does not know: those of the annotation `ipAddrsNoIpam` (1.3). Whoever annotates a Pod so sees to
/// it that nobody else has them.
struct FixedAddressSource: AddressSource {
    let addresses: [IPAddress]
    /// This attachment's endpoint, when there is one.
    let recorded: WorkloadEndpoint?

    var givesOthers: Bool { false }

    func held() -> [IPAddress] { recorded?.source == .nobody ? recorded?.addresses ?? [] : [] }

    func granting(_ held: [IPAddress]) -> NetworkResult? { Set(held) == Set(addresses) ? assign().result : nil }

    func assign() -> Grant { Grant(result: NetworkResult(addresses: addresses.map { .init($0.hostPrefix) })) }

    func release() {}

    func record(of granted: NetworkResult) -> WorkloadEndpoint.Source { .nobody }
}
