import ClusterClient
import FoundationEssentials
import IPAM
import JSON
import NetworkTypes

/// The report of `ipam check -o FILE` in Calico's form (7.3): what `ipam release --from-report` goes by.
public struct ConsistencyReport: Hashable, Sendable {
    public struct Leak: Hashable, Sendable {
        public let address: IPAddress
        public let handle: String?
        public let sequenceNumber: UInt64
    }

    public let version: String
    public let clusterGUID: String
    public let isDatastoreLocked: Bool
    /// Of the ClusterInformation; empty when there was none.
    public let clusterInformationRevision: String
    public let leaks: [Leak]
    public let leakedHandles: [ConsistencyCheck.LeakedHandle]

    public struct Malformed: Error, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// The text of a report.
    public static func json(_ check: ConsistencyCheck, version: String) -> String {
        let information = check.information
        var allocations: [(String, JSONValue)] = []
        let shared = Dictionary(check.sharedAddresses.map { ($0.address, $0.owners) }) { first, _ in first }
        for allocation in check.allocations {
            allocations.append(("\(allocation.address)", .array([json(allocation, shared[allocation.address])])))
        }
        let handles = check.leakedHandles.map { handle -> JSONValue in
            ["ID": .string(handle.id), "UID": .null, "Revision": .string(handle.revision.description)]
        }
        let report: JSONValue = [
            "version": .string(version),
            "clusterGUID": .string(information?.spec.clusterGUID ?? ""),
            "datastoreLocked": .bool(information?.spec.datastoreReady == false),
            "clusterInformationRevision": .string(check.informationRevision?.description ?? ""),
            "clusterType": .string(information?.spec.clusterType ?? ""),
            "allocations": .object(JSONObject(allocations)),
            "leakedHandles": .array(handles),
        ]
        return report.report
    }

    /// - Parameter owners: when there are several.
    private static func json(_ allocation: ConsistencyCheck.Allocation, _ owners: [String]?) -> JSONValue {
        func attribute(_ name: String) -> JSONValue { .string(allocation.attributes[name] ?? "") }
        let owner: [String] = if case .endpoint(let owner) = allocation.use { [owner] } else { [] }
        return [
            "ip": .string("\(allocation.address)"), "handle": .string(allocation.handle ?? ""),
            "sequenceNumber": .number(allocation.sequenceNumber), "pod": attribute("pod"),
            "namespace": attribute("namespace"), "node": attribute("node"), "type": attribute("type"),
            "creationTimestamp": attribute("timestamp"),
            "inUse": .bool(!allocation.isLeaked && allocation.use != .coolingDown),
            "borrowed": .bool(allocation.isBorrowed), "coolingDown": .bool(allocation.use == .coolingDown),
            "owners": .array((owners ?? owner).map { .string($0) }),
        ]
    }

    /// Reads a report, ours or calicoctl's.
    public init(parsing bytes: [UInt8]) throws(Malformed) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: bytes.span)
        } catch {
            throw Malformed(description: "it is no JSON: \(error)")
        }
        guard case .object(let report) = value, case .string(let version)? = report["version"],
            case .string(let guid)? = report["clusterGUID"]
        else { throw Malformed(description: "it is no report of ipam check: version and clusterGUID are missing") }
        self.version = version
        clusterGUID = guid
        isDatastoreLocked = report["datastoreLocked"] == true
        clusterInformationRevision =
            if case .string(let text)? = report["clusterInformationRevision"] { text } else { "" }
        var leaks: [Leak] = []
        if case .object(let allocations)? = report["allocations"] {
            for member in allocations.members {
                guard case .array(let entries) = member.value else { continue }
                for entry in entries {
                    if let leak = try Self.leak(member.key, entry) { leaks.append(leak) }
                }
            }
        }
        self.leaks = leaks
        var handles: [ConsistencyCheck.LeakedHandle] = []
        if case .array(let entries)? = report["leakedHandles"] {
            for case .object(let entry) in entries {
                guard case .string(let id)? = entry["ID"], case .string(let revision)? = entry["Revision"] else {
                    throw Malformed(description: "leakedHandles has an entry without ID and Revision")
                }
                handles.append(ConsistencyCheck.LeakedHandle(id: id, revision: Revision(revision)))
            }
        }
        leakedHandles = handles
    }

    /// What every report has found leaked, and the same assignment in each.
    public static func commonLeaks(_ reports: [ConsistencyReport]) -> [Leak] {
        guard let first = reports.first else { return [] }
        let others = reports.dropFirst().map { Set($0.leaks) }
        return first.leaks.filter { leak in others.allSatisfy { $0.contains(leak) } }
    }

    /// The handles that no address had in any report, and that were not written in between.
    public static func commonHandles(_ reports: [ConsistencyReport]) -> [ConsistencyCheck.LeakedHandle] {
        guard let first = reports.first else { return [] }
        let others = reports.dropFirst().map { Set($0.leakedHandles) }
        return first.leakedHandles.filter { handle in others.allSatisfy { $0.contains(handle) } }
    }

    private static func leak(_ key: String, _ entry: JSONValue) throws(Malformed) -> Leak? {
        guard case .object(let entry) = entry, let address = IPAddress(key) else {
            throw Malformed(description: "allocations has \"\(key)\", which is no address with its owners")
        }
        guard entry["inUse"] != true, entry["coolingDown"] != true else { return nil }
        guard case .number(let digits)? = entry["sequenceNumber"], let number = UInt64(digits) else {
            throw Malformed(description: "\(key) has no sequenceNumber")
        }
        let handle: String? = if case .string(let text)? = entry["handle"], !text.isEmpty { text } else { nil }
        return Leak(address: address, handle: handle, sequenceNumber: number)
    }
}
