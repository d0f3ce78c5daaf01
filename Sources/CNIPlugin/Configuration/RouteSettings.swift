import CNI
import NetworkTypes

/// The routes that a configuration asks for in the pod, in the place of default routes (1.1).
struct RouteSettings: Hashable, Sendable {
    /// `ipam.routes`
    let routes: [NetworkResult.Route]
    /// `include_default_routes`: the default routes besides.
    let includesDefault: Bool

    init(_ configuration: NetworkConfiguration) throws(CNIError) {
        routes = try configuration.ipam()?.routes("routes") ?? []
        includesDefault = try configuration.reader.bool("include_default_routes") ?? false
    }

    /// The routes of a pod.
    ///
    /// - Parameter granted: those that the IPAM plugin answered with; they are the configuration's where it repeats them.
    func routes(granted: [NetworkResult.Route], _ families: Set<IPFamily>) -> [NetworkResult.Route] {
        var wanted = granted.isEmpty ? routes : granted
        guard !wanted.isEmpty, includesDefault else { return wanted }
        for family in IPFamily.allCases where families.contains(family) {
            let isThere = wanted.contains { $0.destination.prefixLength == 0 && $0.destination.family == family }
            let any: IPAddress = family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified)
            if !isThere, let everything = CIDR(any, prefixLength: 0) { wanted.append(.init(everything)) }
        }
        return wanted
    }
}
