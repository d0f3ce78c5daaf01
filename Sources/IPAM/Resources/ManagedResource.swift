import ClusterClient
import FoundationEssentials
import JSON
import KubernetesAPI
import NetworkTypes

/// A resource that people write and read, in the form of Calico's v3 API.
public enum ManagedResource: Hashable, Sendable {
    case pool(IPPool)
    case reservation(IPReservation)
    case configuration(IPAMConfiguration)
    /// Only name and labels, which node selectors go by where Kubernetes does not keep the nodes.
    case node(NodeResource)

    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case pool = "IPPool"
        case reservation = "IPReservation"
        case configuration = "IPAMConfiguration"
        case node = "Node"

        /// From how people call it: in any case, singular or plural; `ipamconfig` is Calico's name of the past.
        public init?(name: String) {
            let name = name.lowercased()
            let found = Self.allCases.first {
                [$0.rawValue.lowercased(), $0.rawValue.lowercased() + "s"].contains(name)
            }
            guard let kind = found ?? (name == "ipamconfig" ? .configuration : nil) else { return nil }
            self = kind
        }

        /// The collection of their records; `nil` for the settings, of which there is one.
        var records: ResourceKind? {
            switch self {
            case .pool: .ipPools
            case .reservation: .ipReservations
            case .configuration: nil
            case .node: .nodes
            }
        }
    }

    public var kind: Kind {
        switch self {
        case .pool: .pool
        case .reservation: .reservation
        case .configuration: .configuration
        case .node: .node
        }
    }

    public var name: String {
        switch self {
        case .pool(let pool): pool.name
        case .reservation(let reservation): reservation.name
        case .configuration: Self.settingsName
        case .node(let node): node.name
        }
    }

    static let settingsName = "default"

    var key: RecordKey { Self.key(kind, name) }

    static func key(_ kind: Kind, _ name: String) -> RecordKey {
        kind.records.map { .resource($0, name: name) } ?? IPAMConfiguration.recordKey
    }

    /// Why a document is no such resource.
    public struct Malformed: Error, Hashable, CustomStringConvertible {
        public let description: String
    }
}

// MARK: - Documents

extension ManagedResource {
    /// Reads a document. A member that no resource has is an error, as it is most likely misspelled.
    public init(document: JSONValue) throws(Malformed) {
        guard case .object(let object) = document else { throw Malformed(description: "it is no object") }
        guard case .string(let apiVersion)? = object["apiVersion"], case .string(let kindName)? = object["kind"] else {
            throw Malformed(description: "apiVersion and kind are needed")
        }
        guard let kind = Kind(rawValue: kindName) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw Malformed(description: "kind \(kindName) is none of \(known)")
        }
        guard apiVersion == IPPool.apiVersion else {
            throw Malformed(description: "apiVersion of \(kindName) is \(IPPool.apiVersion), not \(apiVersion)")
        }
        guard case .object(let metadata)? = object["metadata"], let nameValue = metadata["name"] else {
            throw Malformed(description: "\(kindName): metadata.name is needed")
        }
        guard case .string(let name) = nameValue else {
            // Such as `off` and `5` in YAML.
            throw Malformed(
                description: "\(kindName): metadata.name is \(nameValue.noun), not a string; put it in quotes"
            )
        }
        try Self.requireKnown(object, ["apiVersion", "kind", "metadata", "spec", "status"], "\(kindName) \(name)")
        if case .object(let spec)? = object["spec"] {
            try Self.requireKnown(spec, kind.members, "\(kindName) \(name): spec")
        }
        do throws(MalformedRecord) {
            let json = Data(Array(document.text().utf8))
            switch kind {
            case .pool: self = .pool(try IPPool(json: json))
            case .reservation: self = .reservation(try IPReservation(json: json))
            case .node: self = .node(try NodeResource(json: json))
            case .configuration: self = .configuration(try Self.settings(object["spec"]))
            }
        } catch {
            throw Malformed(description: "\(kindName) \(name): \(Self.fieldPath(error.reason))")
        }
        if kind == .configuration, name != Self.settingsName {
            throw Malformed(description: "\(kindName) \(name): there is only one, named \(Self.settingsName)")
        }
        if let problem { throw Malformed(description: "\(kindName) \(name): \(problem)") }
    }

    private static func requireKnown(_ object: JSONObject, _ known: [String], _ place: String) throws(Malformed) {
        for member in object.members where !known.contains(member.key) {
            throw Malformed(description: "\(place): unknown field \"\(member.key)\"")
        }
    }

    /// What is wrong at `spec: cidr: …`, with the field's path as people write it: `spec.cidr: …`.
    private static func fieldPath(_ problem: String) -> String {
        let parts = problem.split(separator: ": ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "spec" || parts[0] == "metadata", parts[1].allSatisfy(\.isLetter) else {
            return problem
        }
        return "\(parts[0]).\(parts[1]): \(parts[2])"
    }

    /// The settings have other names in a document than in their record.
    private static let recordNames = [
        ("strictAffinity", "strict_affinity"), ("autoAllocateBlocks", "auto_allocate_blocks"),
    ]

    private static func settings(_ spec: JSONValue?) throws(MalformedRecord) -> IPAMConfiguration {
        guard case .object(var members)? = spec else { return IPAMConfiguration() }
        // A record that leaves it out means something else, see `IPAMConfiguration.init(json:)`.
        members["autoAllocateBlocks"] = members["autoAllocateBlocks"] ?? true
        for (name, recordName) in recordNames {
            members[recordName] = members[name]
            members[name] = nil
        }
        do throws(MalformedRecord) {
            return try IPAMConfiguration(json: Data(Array(JSONValue.object(members).text().utf8)))
        } catch {
            var problem = error.reason
            for (name, recordName) in recordNames { problem = problem.replacing(recordName, with: name) }
            throw MalformedRecord(description: "spec: \(problem)")
        }
    }

    /// Why it cannot be; `nil` when it can.
    private var problem: String? {
        switch self {
        case .pool(let pool): pool.problem
        case .configuration(let configuration): configuration.problem
        case .reservation(let reservation): IPPool.problem(ofName: reservation.name)
        case .node(let node):
            node.name.isEmpty || node.name.contains("/") ? "\"\(node.name)\" is no valid name" : nil
        }
    }

    /// As people get to see it.
    public var document: JSONValue {
        guard case .configuration(let configuration) = self else { return (try? record).flatMap(Self.value) ?? .null }
        var spec: JSONObject = JSONObject([
            ("strictAffinity", .bool(configuration.strictAffinity)),
            ("autoAllocateBlocks", .bool(configuration.autoAllocateBlocks)),
            ("maxBlocksPerHost", .number(configuration.maxBlocksPerHost)),
            ("ipCooldownSeconds", .number(configuration.ipCooldownSeconds)),
        ])
        if let persistence = configuration.kubeVirtVMAddressPersistence {
            spec["kubeVirtVMAddressPersistence"] = .string(persistence)
        }
        return [
            "apiVersion": .string(IPPool.apiVersion), "kind": .string(kind.rawValue),
            "metadata": ["name": .string(Self.settingsName)], "spec": .object(spec),
        ]
    }

    private static func value(_ data: Data) -> JSONValue? { try? JSONValue(parsing: Array(data).span) }

    /// The JSON of its record.
    var record: Data {
        get throws(IPAMError) {
            switch self {
            case .pool(let pool): try pool.json()
            case .reservation(let reservation): try reservation.json()
            case .configuration(let configuration): try configuration.json()
            case .node(let node): try node.json()
            }
        }
    }

    init(_ kind: Kind, _ record: Record) throws(IPAMError) {
        switch kind {
        case .pool: self = .pool(try IPPool(record))
        case .reservation: self = .reservation(try IPReservation(record))
        case .configuration: self = .configuration(try IPAMConfiguration(record))
        case .node: self = .node(try NodeResource(record))
        }
    }
}

extension ManagedResource.Kind {
    /// What the spec of a document may have. Of nodes, Calico's own members are passed over.
    fileprivate var members: [String] {
        switch self {
        case .pool:
            [
                "cidr", "blockSize", "ipipMode", "vxlanMode", "natOutgoing", "disabled", "disableBGPExport",
                "nodeSelector", "namespaceSelector", "allowedUses", "assignmentMode",
            ]
        case .reservation: ["reservedCIDRs"]
        case .configuration:
            [
                "strictAffinity", "autoAllocateBlocks", "maxBlocksPerHost", "kubeVirtVMAddressPersistence",
                "ipCooldownSeconds",
            ]
        case .node:
            [
                "addresses", "bgp", "orchRefs", "ipv4VXLANTunnelAddr", "ipv6VXLANTunnelAddr", "vxlanTunnelMACAddr",
                "vxlanTunnelMACAddrV6", "wireguard",
            ]
        }
    }
}
