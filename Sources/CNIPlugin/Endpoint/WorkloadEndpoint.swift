import CNI
import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes

/// What ADD records of an attachment: Calico's WorkloadEndpoint resource (`projectcalico.org/v3`).
///
/// There is one record for a Pod's interface, not for each of its containers: the sandbox that is made again takes the
/// record over, and the DEL of the old one finds another container ID in it (3.5).
struct WorkloadEndpoint: Hashable, Sendable {
    let workload: Workload
    let id: AttachmentID
    let node: String
    /// The CNI network, which a container's attachments of several networks are told apart by.
    let network: String
    /// The link that the main plugin made; `nil` when the addresses went to another main plugin, whose link it is.
    let link: Link?
    let addresses: [IPAddress]
    let source: Source
    /// What the agent translates to the pod's addresses (1.3).
    var translations: [Translation] = []
    /// What the pod may send from besides its addresses.
    var allowedSources: [CIDR] = []

    /// Who gave the addresses.
    enum Source: Hashable, Sendable {
        /// Swiftlet's own IPAM.
        case own
        /// Nobody: they were asked for (`ipAddrsNoIpam`).
        case nobody
        /// Another IPAM plugin, which answered with this result, as JSON of the latest version.
        case plugin(String, result: String)
    }

    struct Translation: Hashable, Sendable {
        let external: IPAddress
        let own: IPAddress
    }

    struct Link: Hashable, Sendable {
        let hostInterfaceName: String
        /// The container's.
        let mac: MACAddress
    }

    var key: RecordKey { workload.endpointKey(node: node, interfaceName: id.interfaceName) }

    /// Not Calico's: whose GC it is that may remove the endpoint.
    private static let networkAnnotation = "swiftlet.io/network"
    /// Not Calico's: the IPAM plugin that is not our own, or `none`, and what it answered.
    private static let ipamAnnotation = "swiftlet.io/ipam"
    private static let resultAnnotation = "swiftlet.io/ipam-result"

    /// The record's JSON.
    ///
    /// - Parameters:
    ///   - uid: the resource's, new for each endpoint.
    ///   - created: the time in RFC 3339.
    func json(uid: String, created: String) -> JSONValue {
        let name = if case .resource(_, _, let name) = key { name } else { "" }
        var metadata = JSONObject([
            ("name", .string(name)), ("namespace", .string(workload.namespace)), ("uid", .string(uid)),
            ("creationTimestamp", .string(created)),
        ])
        metadata["labels"] = [
            "projectcalico.org/namespace": .string(workload.namespace),
            "projectcalico.org/orchestrator": .string(workload.orchestrator),
        ]
        var annotations = JSONObject([(Self.networkAnnotation, .string(network))])
        switch source {
        case .own: break
        case .nobody: annotations[Self.ipamAnnotation] = "none"
        case .plugin(let type, let result):
            annotations[Self.ipamAnnotation] = .string(type)
            annotations[Self.resultAnnotation] = .string(result)
        }
        metadata["annotations"] = .object(annotations)
        var spec = JSONObject([("orchestrator", .string(workload.orchestrator))])
        switch workload {
        case .pod(let pod): spec["pod"] = .string(pod.name)
        case .container(let id): spec["workload"] = .string(id)
        }
        spec["node"] = .string(node)
        spec["containerID"] = .string(id.containerID)
        spec["endpoint"] = .string(id.interfaceName)
        spec["ipNetworks"] = .array(addresses.map { .string($0.hostPrefix.description) })
        spec["profiles"] = [.string(profile)]
        if let link {
            spec["interfaceName"] = .string(link.hostInterfaceName)
            spec["mac"] = .string(link.mac.description)
        }
        if !translations.isEmpty {
            spec["ipNATs"] = .array(
                translations.map {
                    ["internalIP": .string($0.own.description), "externalIP": .string($0.external.description)]
                }
            )
        }
        if !allowedSources.isEmpty {
            spec["allowSpoofedSourcePrefixes"] = .array(allowedSources.map { .string($0.description) })
        }
        return [
            "kind": "WorkloadEndpoint", "apiVersion": "projectcalico.org/v3", "metadata": .object(metadata),
            "spec": .object(spec),
        ]
    }

    /// The policy profile: the namespace's in Kubernetes, one named after the network elsewhere.
    private var profile: String {
        switch workload {
        case .pod(let pod): "kns.\(pod.namespace)"
        case .container: network
        }
    }

    /// Reads a record, Calico's own ones too. Throws code 6 with the record's name for one that is none.
    init(record: Record) throws(CNIError) {
        do throws(CNIError) {
            let value: JSONValue
            do {
                value = try JSONValue(parsing: record.value.span)
            } catch {
                throw CNIError(.decodingFailure, "not JSON: \(error)")
            }
            guard case .object(let object) = value else {
                throw CNIError(.decodingFailure, "not an object")
            }
            try self.init(resource: ObjectReader(object))
        } catch {
            throw CNIError(error.code, "the record \(record.key) is damaged", details: error.description)
        }
    }

    private init(resource: ObjectReader) throws(CNIError) {
        guard let metadata = try resource.object("metadata"), let spec = try resource.object("spec") else {
            throw CNIError(.decodingFailure, "\"metadata\" or \"spec\" is missing")
        }
        func required(_ key: String) throws(CNIError) -> String {
            guard let text = try spec.nonEmptyString(key) else {
                throw CNIError(.decodingFailure, "\"\(spec.path(of: key))\" is missing")
            }
            return text
        }
        let containerID = try spec.string("containerID") ?? ""
        if let pod = try spec.nonEmptyString("pod") {
            workload = .pod(PodReference(namespace: try metadata.string("namespace") ?? "default", name: pod))
        } else {
            workload = .container(id: try spec.nonEmptyString("workload") ?? containerID)
        }
        id = try AttachmentID(containerID: containerID, interfaceName: required("endpoint"))
        node = try required("node")
        let annotations = try metadata.object("annotations")
        network = try annotations?.string(Self.networkAnnotation) ?? ""
        switch try annotations?.nonEmptyString(Self.ipamAnnotation) {
        case nil: source = .own
        case "none": source = .nobody
        case let type?: source = .plugin(type, result: try annotations?.string(Self.resultAnnotation) ?? "")
        }
        if let name = try spec.nonEmptyString("interfaceName") {
            guard let mac = try spec.value("mac", as: MACAddress.self) else {
                throw CNIError(.decodingFailure, "\"spec.mac\" is missing")
            }
            link = Link(hostInterfaceName: name, mac: mac)
        } else {
            link = nil
        }
        var addresses: [IPAddress] = []
        for text in try spec.strings("ipNetworks") ?? [] {
            guard let address = CIDR(text)?.address else {
                throw CNIError(.decodingFailure, "\"spec.ipNetworks\" has \(text.quoted)")
            }
            addresses.append(address)
        }
        self.addresses = addresses
        for entry in try spec.objects("ipNATs") ?? [] {
            guard let own = try entry.value("internalIP", as: IPAddress.self),
                let external = try entry.value("externalIP", as: IPAddress.self)
            else { throw CNIError(.decodingFailure, "\"\(entry.path)\" needs two addresses") }
            translations.append(Translation(external: external, own: own))
        }
        for text in try spec.strings("allowSpoofedSourcePrefixes") ?? [] {
            guard let prefix = CIDR(text) else {
                throw CNIError(.decodingFailure, "\"spec.allowSpoofedSourcePrefixes\" has \(text.quoted)")
            }
            allowedSources.append(prefix)
        }
    }

    init(
        workload: Workload,
        id: AttachmentID,
        node: String,
        network: String,
        link: Link?,
        addresses: [IPAddress],
        source: Source = .own
    ) {
        self.workload = workload
        self.id = id
        self.node = node
        self.network = network
        self.link = link
        self.addresses = addresses
        self.source = source
    }
}
