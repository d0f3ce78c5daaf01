import CNI
import JSON
import NetworkTypes

/// Addresses from another IPAM plugin, such as `host-local`.
///
/// Such a plugin need not take the same ADD twice, so that what it answered is recorded with the endpoint and given
/// again from there.
struct DelegatedAddressSource: AddressSource {
    let delegate: IPAMDelegate
    let attachment: AttachmentID
    let namespacePath: String
    /// This attachment's endpoint, when there is one.
    let recorded: WorkloadEndpoint?

    /// An ADD that failed later than this is not tried again.
    private static let patience = Duration.seconds(5)

    func held() -> [IPAddress] {
        guard case .plugin(delegate.type, _)? = recorded?.source else { return [] }
        return recorded?.addresses ?? []
    }

    func granting(_ held: [IPAddress]) throws(CNIError) -> NetworkResult? {
        guard case .plugin(_, let text)? = recorded?.source else { return nil }
        return try NetworkResult(text: text)
    }

    var givesOthers: Bool { true }

    func assign() throws(CNIError) -> Grant {
        let start = ContinuousClock.now
        do throws(CNIError) {
            return Grant(result: try add())
        } catch {
            // An ADD of ours that was killed may have left an allocation, which such plugins do not give twice.
            try release()
            guard error.code != .tryAgainLater, start.duration(to: .now) < Self.patience else { throw error }
            return Grant(result: try add())
        }
    }

    private func add() throws(CNIError) -> NetworkResult {
        var result = try delegate.add(attachment, namespacePath: namespacePath)
        guard !result.addresses.isEmpty else {
            throw CNIError(.poolExhausted, "the IPAM plugin \(delegate.type.quoted) gave no address")
        }
        // 3.4: each becomes a /32 or /128, and its gateway is the node.
        result.interfaces = []
        result.addresses = result.addresses.map { .init($0.address.address.withoutMapping.hostPrefix) }
        return result
    }

    func release() throws(CNIError) {
        try delegate.delete(attachment, namespacePath: namespacePath)
    }

    func record(of granted: NetworkResult) throws(CNIError) -> WorkloadEndpoint.Source {
        let answer = NetworkResult(addresses: granted.addresses, routes: granted.routes, dns: granted.dns)
        return .plugin(delegate.type, result: try answer.json(version: .latest).text())
    }
}

extension NetworkResult {
    /// Reads a result that was recorded as text. Throws code 6 for what is none.
    init(text: String) throws(CNIError) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: Array(text.utf8).span)
        } catch {
            throw CNIError(.decodingFailure, "the recorded answer of the IPAM plugin is not JSON", details: "\(error)")
        }
        guard case .object(let object) = value else {
            throw CNIError(.decodingFailure, "the recorded answer of the IPAM plugin is no object")
        }
        try self.init(decoding: ObjectReader(object), defaultVersion: .latest)
    }
}
