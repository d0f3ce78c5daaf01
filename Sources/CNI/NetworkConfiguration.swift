import JSON
import NetworkTypes

/// The network configuration that a runtime writes to a plugin's stdin: the keys that the specification defines.
///
/// What only some verbs need (addresses asked for, the previous result) is read when it is asked for, so that DEL
/// works with a configuration in which only that part is broken (D8).
public struct NetworkConfiguration: Sendable {
    public let cniVersion: SpecVersion
    /// The network's name, checked (V4).
    public let name: String
    /// The plugin's name on disk.
    public let type: String
    /// All of it, for the plugin's own keys and for handing on.
    public let reader: ObjectReader

    /// Throws code 6 for what is not a JSON object or has values of wrong types, code 1 for a version that is not
    /// supported, code 7 for a missing or malformed name.
    public init(_ stdin: [UInt8]) throws(CNIError) {
        guard stdin.count <= maximumConfigurationSize else {
            throw CNIError(
                .decodingFailure,
                "the network configuration is larger than \(maximumConfigurationSize) bytes"
            )
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: stdin.span)
        } catch {
            throw CNIError(.decodingFailure, "the network configuration on stdin is not JSON", details: "\(error)")
        }
        guard case .object(let object) = value else {
            throw CNIError(.decodingFailure, "the network configuration must be an object, not \(value.noun)")
        }
        reader = ObjectReader(object)
        let version = try reader.string("cniVersion") ?? ""
        cniVersion = version.isEmpty ? .whenMissing : try SpecVersion(parsing: version, key: "cniVersion")
        guard let name = try reader.string("name"), !name.isEmpty else {
            throw CNIError(.invalidConfiguration, "the network configuration has no \"name\"")
        }
        guard isIdentifier(name) else {
            throw CNIError(
                .invalidConfiguration,
                "\"name\" must start with a letter or digit and contain only those, '_', '.' and '-'",
                details: name.quoted
            )
        }
        self.name = name
        type = try reader.string("type") ?? ""
    }

    /// Throws code 1 when the configuration's version has no such command.
    public func require(_ command: Command) throws(CNIError) {
        guard cniVersion >= command.introduced else {
            throw CNIError(
                .incompatibleVersion,
                "\(command.rawValue) needs version \(command.introduced) of the CNI specification",
                details: "configuration is \"\(cniVersion)\""
            )
        }
    }

    /// The `ipam` section, or `nil`.
    public func ipam() throws(CNIError) -> ObjectReader? { try reader.object("ipam") }

    /// The result of the plugin before this one in the chain, whatever version it is written in (C10).
    public func previousResult() throws(CNIError) -> NetworkResult? {
        guard let object = try reader.object("prevResult") else { return nil }
        return try NetworkResult(decoding: object, defaultVersion: cniVersion)
    }

    /// What the runtime filled in for the capabilities that the configuration lists.
    public func runtimeConfiguration() throws(CNIError) -> RuntimeConfiguration {
        try RuntimeConfiguration(reader.object("runtimeConfig"))
    }

    /// The addresses of `args.cni.ips`.
    public func argumentAddresses() throws(CNIError) -> [IPAddress] {
        guard let arguments = try reader.object("args")?.object("cni") else { return [] }
        return try arguments.addresses("ips")
    }

    /// `dns`: the resolver of the network's containers.
    public func resolver() throws(CNIError) -> DNS { try reader.resolver("dns") }

    /// The attachments that GC must keep, or `nil` when the runtime did not say, which means to keep all (GC1).
    public func validAttachments() throws(CNIError) -> Set<AttachmentID>? {
        // libcni writes the key of an earlier draft too; the specification's own wins.
        for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
            guard let entries = try reader.objects(key) else { continue }
            var attachments: Set<AttachmentID> = []
            for entry in entries {
                guard let containerID = try entry.string("containerID"), let name = try entry.string("ifname") else {
                    throw CNIError(.decodingFailure, "\"\(entry.path)\" needs \"containerID\" and \"ifname\"")
                }
                do throws(CNIError) {
                    attachments.insert(try AttachmentID(containerID: containerID, interfaceName: name))
                } catch {
                    // It is no variable of the environment that is wrong here.
                    throw CNIError(
                        .invalidConfiguration,
                        "\"\(entry.path)\" is no attachment that there can be",
                        details: "\(containerID.quoted), \(name.quoted)"
                    )
                }
            }
            return attachments
        }
        return nil
    }
}

/// `runtimeConfig`: what the runtime knows of this one container, by capability (3.10).
public struct RuntimeConfiguration: Sendable {
    /// `ips`: the addresses that the container must get.
    public let addresses: [IPAddress]
    /// `mac`
    public let mac: MACAddress?
    /// `dns`
    public let dns: DNS
    /// `io.kubernetes.cri.pod-annotations`, or `nil` when the runtime does not pass them.
    public let podAnnotations: [String: String]?

    init(_ section: ObjectReader?) throws(CNIError) {
        addresses = try section?.addresses("ips") ?? []
        mac = try section?.value("mac")
        let dns = try section?.object("dns")
        self.dns = try DNS(
            nameservers: dns?.strings("servers") ?? [],
            search: dns?.strings("searches") ?? [],
            options: dns?.strings("options") ?? []
        )
        guard let annotations = try section?.object("io.kubernetes.cri.pod-annotations") else {
            podAnnotations = nil
            return
        }
        var pairs: [String: String] = [:]
        for member in annotations.object.members where member.value != .null {
            guard case .string(let text) = member.value else {
                throw annotations.mismatch(member.key, wanted: "a string", got: member.value)
            }
            pairs[member.key] = text
        }
        podAnnotations = pairs
    }
}

extension ObjectReader {
    /// A list of addresses, each with or without a prefix length, which is dropped.
    fileprivate func addresses(_ key: String) throws(CNIError) -> [IPAddress] {
        var addresses: [IPAddress] = []
        for (index, text) in (try strings(key) ?? []).enumerated() {
            guard let address = IPAddress(text) ?? CIDR(text)?.address else {
                throw CNIError(
                    .decodingFailure,
                    "\"\(path(of: key))[\(index)]\" is not an IP address, nor one with a prefix length",
                    details: text.quoted
                )
            }
            addresses.append(address)
        }
        return addresses
    }
}
