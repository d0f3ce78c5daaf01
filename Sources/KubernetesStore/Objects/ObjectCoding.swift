import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes

// Records are JSON in the form that Calico keeps in etcd (2.9); the specs of the objects spell some members otherwise
// and add what etcd has in the key (2.2, 2.10). Members that neither of us knows pass through in both directions, and
// survive an update by somebody who does not know them.

extension CalicoKind {
    /// Members that a record and a spec spell differently: the record's first.
    fileprivate var renamed: [(record: String, spec: String)] {
        switch self {
        case .block: [("affinity_claim_time", "affinityClaimTime")]
        case .ipamConfiguration:
            [("strict_affinity", "strictAffinity"), ("auto_allocate_blocks", "autoAllocateBlocks")]
        default: []
        }
    }

    /// The members of a spec that say what etcd has in the key, or that only version 1 of the schema demands.
    fileprivate var specOnly: Set<String> {
        switch self {
        case .block: ["strictAffinity"]
        case .affinity: ["node", "type", "cidr"]
        case .handle: ["handleID"]
        default: []
        }
    }

    /// The members of a spec that a writer of records knows: what such a record leaves out is gone.
    fileprivate var known: Set<String> {
        switch self {
        case .block:
            [
                "cidr", "affinity", "affinityClaimTime", "allocations", "unallocated", "attributes", "sequenceNumber",
                "sequenceNumberForAllocation", "deleted",
            ]
        case .affinity: ["state", "deleted"]
        case .handle: ["block", "deleted"]
        case .ipamConfiguration:
            [
                "strictAffinity", "autoAllocateBlocks", "maxBlocksPerHost", "kubeVirtVMAddressPersistence",
                "ipCooldownSeconds",
            ]
        case .ipPool:
            [
                "cidr", "blockSize", "ipipMode", "vxlanMode", "natOutgoing", "disabled", "disableBGPExport",
                "nodeSelector", "namespaceSelector", "allowedUses", "assignmentMode",
            ]
        case .ipReservation: ["reservedCIDRs"]
        case .clusterInformation: ["clusterGUID", "calicoVersion", "clusterType", "datastoreReady", "variant"]
        }
    }

    fileprivate func specName(_ name: String) -> String { renamed.first { $0.record == name }?.spec ?? name }
    fileprivate func recordName(_ name: String) -> String { renamed.first { $0.spec == name }?.record ?? name }
}

extension CustomObject {
    /// The key of the record that the object holds.
    func key(_ kind: CalicoKind) throws(MalformedObject) -> RecordKey {
        switch kind {
        case .block:
            // One that does not say so is named after its prefix all the same, and keeps no other from being listed.
            guard let cidr = spec.string("cidr").flatMap({ CIDR($0) }) ?? ObjectNames.block(named: name) else {
                throw MalformedObject(reason: "spec.cidr is no prefix")
            }
            return .block(cidr)
        case .affinity:
            guard let cidr = spec.string("cidr").flatMap({ CIDR($0) }), let node = spec.string("node") else {
                throw MalformedObject(reason: "spec.cidr or spec.node is missing")
            }
            switch spec.string("type") ?? "" {
            case "host", "": return .blockAffinity(.host(node), cidr)
            case "virtual": return .blockAffinity(.virtual(node), cidr)
            case let type: throw MalformedObject(reason: "spec.type is \"\(type)\"")
            }
        case .handle: return .handle(spec.string("handleID") ?? name)
        case .ipamConfiguration: return .ipamConfiguration
        case .ipPool: return .resource(.ipPools, name: name)
        case .ipReservation: return .resource(.ipReservations, name: name)
        case .clusterInformation: return .resource(.clusterInformations, name: name)
        }
    }

    /// The record's JSON.
    func record(_ kind: CalicoKind, _ api: CalicoAPI) -> JSONObject {
        let spec = spec
        var record: JSONObject
        switch kind {
        case .block:
            record = JSONObject([
                ("cidr", spec["cidr"] ?? .null), ("affinity", spec["affinity"] ?? .null),
                ("affinity_claim_time", spec["affinityClaimTime"] ?? .null),
                ("allocations", spec["allocations"] ?? []), ("unallocated", spec["unallocated"] ?? []),
                ("attributes", .array(Self.attributes(spec["attributes"]))),
                ("sequenceNumber", spec["sequenceNumber"] ?? 0),
                ("sequenceNumberForAllocation", spec["sequenceNumberForAllocation"] ?? [:]),
                ("deleted", .bool(isSoftlyDeleted)),
            ])
        case .affinity:
            record = JSONObject([("state", spec["state"] ?? "confirmed"), ("deleted", .bool(isSoftlyDeleted))])
        case .handle:
            record = JSONObject([("block", spec["block"] ?? [:]), ("deleted", .bool(isSoftlyDeleted))])
        case .ipamConfiguration:
            record = JSONObject()
        case .ipPool, .ipReservation, .clusterInformation:
            record = JSONObject([
                ("apiVersion", "projectcalico.org/v3"), ("kind", .string(kind.kind(.native))),
                ("metadata", .object(resourceMetadata(api))), ("spec", .object(spec)),
            ])
            record["status"] = members["status"]
            return record
        }
        for member in spec.members where !kind.specOnly.contains(member.key) {
            let name = kind.recordName(member.key)
            if !record.members.contains(where: { $0.key == name }) { record[name] = member.value }
        }
        return record
    }

    /// The attributes of a block with the members that etcd always has.
    private static func attributes(_ value: JSONValue?) -> [JSONValue] {
        guard case .array(let elements)? = value else { return [] }
        return elements.map { element in
            guard case .object(let object) = element else { return element }
            var attribute = JSONObject([
                ("handle_id", object["handle_id"] ?? .null), ("secondary", object["secondary"] ?? .null),
            ])
            for member in object.members where member.value != .null { attribute[member.key] = member.value }
            return .object(attribute)
        }
    }

    /// The metadata of a v3 resource: in version 1 what its user wrote is kept in an annotation.
    private func resourceMetadata(_ api: CalicoAPI) -> JSONObject {
        let own = metadata
        var annotations = own.object("annotations")
        var result = JSONObject([("name", .string(name))])
        var stored: JSONObject?
        if api == .customResources, let text = annotations.string(Self.metadataAnnotation) {
            stored = JSONObject(parsing: Data(Array(text.utf8)))
            annotations[Self.metadataAnnotation] = nil
        }
        for key in ["uid", "creationTimestamp", "generation", "labels"] {
            if let value = stored?[key] ?? own[key] { result[key] = value }
        }
        // What a cluster's operator wrote onto the object itself counts too.
        for member in stored?.object("annotations").members ?? [] { annotations[member.key] = member.value }
        if !annotations.isEmpty { result["annotations"] = .object(annotations) }
        // Of the object: that it is on its way out (P2).
        for key in ["deletionTimestamp", "finalizers"] { result[key] = own[key] }
        return result
    }

    fileprivate static let metadataAnnotation = "projectcalico.org/metadata"
}

/// The object that a record becomes.
struct ObjectDraft {
    let kind: CalicoKind
    let api: CalicoAPI
    let key: RecordKey
    let value: JSONObject

    /// Throws when the record is no JSON object.
    init(_ kind: CalicoKind, _ api: CalicoAPI, _ key: RecordKey, _ value: Data) throws(MalformedObject) {
        self.kind = kind
        self.api = api
        self.key = key
        // Very old data has affinities without any value (2.9).
        guard !value.isEmpty else {
            self.value = JSONObject()
            return
        }
        let parsed: JSONValue
        do throws(JSONReader.Failure) {
            parsed = try JSONValue(parsing: value.span)
        } catch {
            throw MalformedObject(reason: "the record is not JSON: \(error)")
        }
        guard case .object(let object) = parsed else {
            throw MalformedObject(reason: "the record is no JSON object")
        }
        self.value = object
    }

    /// The object to create, or, over an existing one, to put in its place.
    ///
    /// - Parameters:
    ///   - base: the object as it was read: it keeps its metadata, and what of it no record knows.
    func object(named name: String, over base: CustomObject? = nil) -> JSONObject {
        var object = JSONObject([
            ("apiVersion", .string("\(api.group)/\(api.version)")), ("kind", .string(kind.kind(api))),
            ("metadata", .object(metadata(name, base))), ("spec", .object(spec(base))),
        ])
        object["status"] = base?.members["status"] ?? (isResource ? value["status"] : nil)
        return object
    }

    private var isResource: Bool { if case .resource = key { true } else { false } }

    private func spec(_ base: CustomObject?) -> JSONObject {
        var spec = JSONObject()
        let members = (isResource ? value.object("spec") : value).members
        for member in members where member.value != .null {
            spec[kind.specName(member.key)] = member.value
        }
        let isDeleted = spec["deleted"] == true || spec["deleted"] == "true"
        switch key {
        case .block(let cidr):
            spec["cidr"] = .string(cidr.description)
            for name in ["allocations", "unallocated", "attributes"] { spec[name] = spec[name] ?? [] }
            if case .array(let attributes)? = spec["attributes"] {
                spec["attributes"] = .array(
                    attributes.map { if case .object(let object) = $0 { .object(object.withoutNulls) } else { $0 } }
                )
            }
            // Demanded by the schema of version 1; nobody reads it.
            if api == .customResources { spec["strictAffinity"] = base?.spec["strictAffinity"] ?? false }
            spec["deleted"] = .bool(isDeleted)
        case .blockAffinity(let owner, let cidr):
            let state = spec["state"].flatMap { $0 == "" ? nil : $0 } ?? "confirmed"
            spec["state"] = state
            spec["node"] = .string(ObjectNames.name(of: owner))
            spec["type"] = .string(AffinityLabels.type(of: owner))
            spec["cidr"] = .string(cidr.description)
            spec["deleted"] = api == .customResources ? .string(isDeleted ? "true" : "false") : .bool(isDeleted)
        case .handle(let id):
            spec["handleID"] = .string(id)
            spec["block"] = spec["block"] ?? [:]
            spec["deleted"] = .bool(isDeleted)
        case .ipamConfiguration:
            let isStrict = spec["strictAffinity"] == true
            spec["strictAffinity"] = .bool(isStrict)
            spec["autoAllocateBlocks"] = spec["autoAllocateBlocks"] ?? .bool(!isStrict)
        case .resource:
            break
        }
        for member in base?.spec.members ?? [] where member.value != .null {
            guard !kind.known.contains(member.key), !kind.specOnly.contains(member.key), spec[member.key] == nil else {
                continue
            }
            spec[member.key] = member.value
        }
        return spec
    }

    private func metadata(_ name: String, _ base: CustomObject?) -> JSONObject {
        var metadata = base?.metadata ?? JSONObject()
        metadata["managedFields"] = nil
        metadata["name"] = .string(name)
        switch key {
        case .blockAffinity(let owner, let cidr):
            var labels = metadata.object("labels")
            for (key, value) in AffinityLabels.labels(owner, cidr.family) { labels[key] = .string(value) }
            metadata["labels"] = .object(labels)
        case .resource:
            let own = value.object("metadata")
            if api == .native {
                for key in ["labels", "annotations"] { metadata[key] = own[key] ?? metadata[key] }
            } else {
                var stored = JSONObject()
                for key in ["uid", "creationTimestamp", "generation", "labels", "annotations"] {
                    stored[key] = own[key]
                }
                var annotations = metadata.object("annotations")
                annotations[CustomObject.metadataAnnotation] =
                    stored.isEmpty ? nil : .string(JSONValue.object(stored).text())
                metadata["annotations"] = annotations.isEmpty ? nil : .object(annotations)
            }
        default:
            break
        }
        return metadata
    }
}

extension CustomObject {
    /// The object with the mark of a deletion that began (K2).
    func markedDeleted(_ kind: CalicoKind, _ api: CalicoAPI) -> JSONObject {
        var members = members
        var metadata = metadata
        metadata["managedFields"] = nil
        members["metadata"] = .object(metadata)
        var spec = spec
        spec["deleted"] = kind == .affinity && api == .customResources ? "true" : true
        members["spec"] = .object(spec)
        return members
    }
}
