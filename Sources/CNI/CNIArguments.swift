import NetworkTypes

/// The pairs of `CNI_ARGS`, as `K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;IgnoreUnknown=1`.
public struct CNIArguments: Hashable, Sendable {
    public static let none = CNIArguments(values: [:])

    /// The keys that are understood or known to be harmless (1.2).
    private static let known: Set<String> = [
        "IgnoreUnknown", "IP", "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID",
        "CNI_TEST_NAMESPACE",
    ]

    private let values: [String: String]

    private init(values: [String: String]) {
        self.values = values
    }

    /// Throws code 4 for a pair without exactly one `=`, for a name of a Pod or namespace that is none, and for a key
    /// that is not known unless `IgnoreUnknown` says to let it pass.
    public init(_ text: String) throws(CNIError) {
        guard !text.isEmpty else {
            self = .none
            return
        }
        var values: [String: String] = [:]
        for pair in text.split(separator: ";", omittingEmptySubsequences: false) {
            let halves = pair.split(separator: "=", omittingEmptySubsequences: false)
            guard halves.count == 2, !halves[0].isEmpty else {
                throw CNIError(.invalidEnvironment, "CNI_ARGS has an invalid pair", details: String(pair).quoted)
            }
            values[String(halves[0])] = String(halves[1])
        }
        if !["1", "true"].contains(values["IgnoreUnknown"]?.lowercased()) {
            let unknown = values.keys.filter { !Self.known.contains($0) }.sorted()
            guard unknown.isEmpty else {
                throw CNIError(
                    .invalidEnvironment,
                    "CNI_ARGS has unknown keys and no IgnoreUnknown=1",
                    details: unknown.joined(separator: ", ").quoted
                )
            }
        }
        for key in ["K8S_POD_NAMESPACE", "K8S_POD_NAME"] {
            guard let name = values[key], !name.isEmpty else { continue }
            guard isIdentifier(name), name.utf8.count <= 253 else {
                throw CNIError(.invalidEnvironment, "\(key) in CNI_ARGS is no name", details: name.quoted)
            }
        }
        self.values = values
    }

    /// The value of a key, or `nil` when it is missing or empty.
    public subscript(key: String) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }

    /// The Pod that the container belongs to: both of `K8S_POD_NAMESPACE` and `K8S_POD_NAME`, or nothing.
    public var pod: PodReference? {
        guard let namespace = self["K8S_POD_NAMESPACE"], let name = self["K8S_POD_NAME"] else { return nil }
        return PodReference(namespace: namespace, name: name, uid: self["K8S_POD_UID"])
    }

    /// The address asked for with `IP`. Throws code 4 when it is none.
    public func requestedAddress() throws(CNIError) -> IPAddress? {
        guard let text = self["IP"] else { return nil }
        guard let address = IPAddress(text) else {
            throw CNIError(.invalidEnvironment, "IP in CNI_ARGS is not an IP address", details: text.quoted)
        }
        return address
    }
}

/// A Pod by name.
public struct PodReference: Hashable, Sendable {
    public let namespace: String
    public let name: String
    public let uid: String?

    public init(namespace: String, name: String, uid: String? = nil) {
        self.namespace = namespace
        self.name = name
        self.uid = uid
    }
}
