import CNI
import ClusterClient
import Digests
import JSON
import KubernetesAPI
import NetworkTypes

/// What a DEL could not take back because its store was away (D6).
struct PendingRelease: Hashable, Sendable {
    let id: AttachmentID
    let network: String
    let workload: Workload
    let node: String
    /// Which kind of store it is that has to hear of it: `local`, `etcdv3`, `kubernetes`.
    let store: String
    /// When the DEL was; what was assigned later is not what it is about.
    let time: Timestamp
    /// The addresses as far as the store still told them, with their sequence numbers; empty when it did not.
    let sequenceNumbers: [IPAddress: UInt64]

    var handle: String { "\(network).\(id.containerID)" }
    var endpointKey: RecordKey { workload.endpointKey(node: node, interfaceName: id.interfaceName) }

    /// Its file's name, which is the same for every DEL of the attachment.
    static func fileName(_ id: AttachmentID, network: String) -> String {
        // None of the three can have a slash.
        let text = "\(network)/\(id.containerID)/\(id.interfaceName)"
        return SHA1.hexadecimal(of: text) + ".json"
    }

    var fileName: String { Self.fileName(id, network: network) }

    /// Whether an assignment is from before the DEL.
    func concerns(_ address: IPAddress, sequenceNumber: UInt64, timestamp: String?) -> Bool {
        if let known = sequenceNumbers[address] { return known == sequenceNumber }
        guard let timestamp = timestamp.flatMap({ Timestamp($0) }) else { return true }
        return timestamp <= time
    }

    var json: JSONValue {
        var object = JSONObject([
            ("network", .string(network)), ("containerID", .string(id.containerID)),
            ("ifname", .string(id.interfaceName)), ("node", .string(node)), ("store", .string(store)),
            ("time", .string(time.description)),
        ])
        if case .pod(let pod) = workload {
            object["namespace"] = .string(pod.namespace)
            object["pod"] = .string(pod.name)
        }
        let numbers = sequenceNumbers.sorted { $0.key < $1.key }.map { ("\($0.key)", JSONValue.number($0.value)) }
        object["sequenceNumbers"] = .object(JSONObject(numbers))
        return .object(object)
    }

    /// Throws code 6 for what is no such entry.
    init(_ text: [UInt8]) throws(CNIError) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: text.span)
        } catch {
            throw CNIError(.decodingFailure, "not JSON", details: "\(error)")
        }
        guard case .object(let object) = value else { throw CNIError(.decodingFailure, "not an object") }
        let reader = ObjectReader(object)
        func required(_ key: String) throws(CNIError) -> String {
            guard let text = try reader.nonEmptyString(key) else {
                throw CNIError(.decodingFailure, "\"\(key)\" is missing")
            }
            return text
        }
        id = try AttachmentID(containerID: required("containerID"), interfaceName: required("ifname"))
        network = try required("network")
        node = try required("node")
        store = try required("store")
        guard let time = Timestamp(try required("time")) else {
            throw CNIError(.decodingFailure, "\"time\" is no time")
        }
        self.time = time
        if let pod = try reader.nonEmptyString("pod") {
            workload = .pod(PodReference(namespace: try required("namespace"), name: pod))
        } else {
            workload = .container(id: id.containerID)
        }
        var numbers: [IPAddress: UInt64] = [:]
        for member in try reader.object("sequenceNumbers")?.object.members ?? [] {
            guard let address = IPAddress(member.key), case .number(let digits) = member.value,
                let number = UInt64(digits)
            else { throw CNIError(.decodingFailure, "\"sequenceNumbers\" has \(member.key.quoted)") }
            numbers[address] = number
        }
        sequenceNumbers = numbers
    }

    init(
        id: AttachmentID,
        network: String,
        workload: Workload,
        node: String,
        store: String,
        time: Timestamp,
        sequenceNumbers: [IPAddress: UInt64]
    ) {
        self.id = id
        self.network = network
        self.workload = workload
        self.node = node
        self.store = store
        self.time = time
        self.sequenceNumbers = sequenceNumbers
    }
}
