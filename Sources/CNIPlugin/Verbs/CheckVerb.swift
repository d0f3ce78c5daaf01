import CNI
import ClusterClient
import NetworkTypes
import PodNetwork

/// CHECK: whether an attachment still is as ADD left it (3.7).
struct CheckVerb {
    let call: Call
    let link: PodLink
    let namespacePath: String
    let delegate: IPAMDelegate?

    /// Some runtimes call it whenever they are asked how a pod is.
    static let limit = Duration.seconds(10)

    /// Throws code 3 for an attachment that nobody knows, 7 without a previous result, 104 for whatever is not as it
    /// was, 11 when that cannot be told in time.
    func run() async throws(CNIError) {
        try await RequestDeadline.within(Self.limit) { () async throws(CNIError) in try await compare() }
    }

    private func compare() async throws(CNIError) {
        guard let previous = try call.configuration.previousResult() else {
            throw CNIError(.invalidConfiguration, "CHECK needs \"prevResult\"")
        }
        let held = try await BlockAddressSource(call, nil).held()
        let recorded = try await call.records.find(call.endpointKey)?.endpoint
        guard let recorded, recorded.id == call.id, let recordedLink = recorded.link else {
            guard held.isEmpty else { throw .inconsistent(["\(held) are assigned, but no endpoint is recorded"]) }
            throw CNIError(
                .unknownContainer,
                "container \(call.id.containerID) has no interface \(call.id.interfaceName) on this network"
            )
        }
        let told = ToldAttachment(call.id.interfaceName, in: previous)
        var settings = try link.settings(call, hasIPv6: recorded.addresses.contains { $0.family == .ipv6 })
        // What the MTU file says may have changed since; what the pod was given has not.
        settings.mtu = told.interface?.mtu
        var request = link.request(
            namespacePath: namespacePath,
            addresses: recorded.addresses,
            settings,
            // Plugins after us may have given it another, as `tuning` does, and have told it in the result (K3).
            mac: told.interface?.mac.flatMap { MACAddress($0) } ?? recordedLink.mac,
            routes: try routes(of: recorded)
        )
        // ADD may have had to take the other name, or one with a prefix that is configured no more.
        request.hostInterfaceName = recordedLink.hostInterfaceName
        request.alternateHostInterfaceName = nil
        // What others assigned is for them to know.
        let assigned = recorded.source == .own ? held : recorded.addresses
        var differences = Self.differences(recorded, held: assigned, from: told)
        if let sandbox = told.interface?.sandbox, !PodNamespace.areSame(sandbox, namespacePath) {
            differences.append("\(call.id.interfaceName) is in \(sandbox) by prevResult, not in \(namespacePath)")
        }
        do throws(PodNetworkError) {
            let host = previous.interfaces.first { $0.name == recordedLink.hostInterfaceName && $0.sandbox == nil }
            var changes = told.changes(since: try PodNetworkPlan(request))
            changes.hostMTU = host?.mtu
            changes.hasNewMAC = request.mac != recordedLink.mac
            differences += try PodNetwork.differences(from: request, changes: changes)
        } catch {
            throw CNIError(error)
        }
        guard differences.isEmpty else { throw .inconsistent(differences) }
        try delegate?.check(call.id, namespacePath: namespacePath)
    }

    /// The routes that ADD made.
    private func routes(of recorded: WorkloadEndpoint) throws(CNIError) -> [NetworkResult.Route] {
        var granted: [NetworkResult.Route] = []
        if case .plugin(_, let result) = recorded.source { granted = try NetworkResult(text: result).routes }
        return try RouteSettings(call.configuration)
            .routes(granted: granted, Set(recorded.addresses.map(\.family)))
    }

    /// How the records differ from what the runtime was told.
    static func differences(
        _ recorded: WorkloadEndpoint,
        held: [IPAddress],
        from told: ToldAttachment
    ) -> [String] {
        var differences: [String] = []
        for address in recorded.addresses where !told.mayHave(address) {
            differences.append("\(address) is recorded, but not in prevResult")
        }
        for address in recorded.addresses where !held.contains(address) {
            differences.append("\(address) is not assigned to the container")
        }
        if told.interface == nil {
            differences.append("\(recorded.id.interfaceName) is not in prevResult")
        }
        return differences
    }
}

extension CNIError {
    /// Code 104, with all that is wrong.
    static func inconsistent(_ differences: [String]) -> CNIError {
        CNIError(
            .datastoreInconsistent,
            "the attachment is not as ADD left it",
            details: differences.joined(separator: "; ")
        )
    }
}
