import CNI
import ClusterClient
import JSON
import NetworkTypes

/// The ranges of a node's Pods, for which a configuration of host-local has `usePodCidr` or `usePodCidrIPv6` in the place
/// of a subnet (1.1).
struct PodRanges: Hashable, Sendable {
    private let ranges: [IPFamily: String]

    /// For verbs to which the range is nothing but a form.
    static let any = PodRanges([.ipv4: "0.0.0.0/0", .ipv6: "::/0"])

    private init(_ ranges: [IPFamily: String]) {
        self.ranges = ranges
    }

    init(_ prefixes: [CIDR]) {
        self.init(Dictionary(prefixes.map { ($0.family, $0.description) }) { first, _ in first })
    }

    private static func placeholder(_ value: JSONValue?) -> IPFamily? {
        guard case .string(let text)? = value else { return nil }
        return switch text.lowercased() {
        case "usepodcidr": .ipv4
        case "usepodcidripv6": .ipv6
        default: nil
        }
    }

    /// Whether the configuration has one of the words.
    static func areWanted(by configuration: JSONObject) -> Bool {
        (try? PodRanges([:]).filled(in: configuration)) != configuration
    }

    /// The configuration with ranges in the place of the words. Throws code 7 when the node has none of the family.
    func filled(in configuration: JSONObject) throws(CNIError) -> JSONObject {
        guard case .object(var ipam)? = configuration["ipam"] else { return configuration }
        try fill(&ipam)
        if case .array(let sets)? = ipam["ranges"] {
            var filled: [JSONValue] = []
            for set in sets { filled.append(try self.filled(set)) }
            ipam["ranges"] = .array(filled)
        }
        var configuration = configuration
        configuration["ipam"] = .object(ipam)
        return configuration
    }

    /// A range, or a list of them.
    private func filled(_ value: JSONValue) throws(CNIError) -> JSONValue {
        switch value {
        case .array(let elements):
            var filled: [JSONValue] = []
            for element in elements { filled.append(try self.filled(element)) }
            return .array(filled)
        case .object(var range):
            try fill(&range)
            return .object(range)
        default: return value
        }
    }

    private func fill(_ range: inout JSONObject) throws(CNIError) {
        guard let family = Self.placeholder(range["subnet"]) else { return }
        guard let prefix = ranges[family] else {
            throw CNIError(.invalidConfiguration, "the configuration wants the node's \(family) range, and it has none")
        }
        range["subnet"] = .string(prefix)
    }
}

extension IPAMDelegate {
    /// The plugin as an ADD calls it: with the node's own ranges where they are asked for.
    func forAdd(_ call: Call) async throws(CNIError) -> IPAMDelegate {
        guard PodRanges.areWanted(by: call.configuration.reader.object) else { return self }
        guard let objects = call.objects else {
            throw CNIError(
                .invalidConfiguration,
                "\"usePodCidr\" needs the Node, and the configuration does not say how to ask the Kubernetes API",
                details: "\"datastore_type\" or \"policy\" may"
            )
        }
        let name = try call.configuration.reader.object("kubernetes")?.nonEmptyString("node_name") ?? call.node
        do throws(DatastoreError) {
            return with(PodRanges(try await objects.podRanges(ofNode: name)))
        } catch {
            throw CNIError(error)
        }
    }
}
