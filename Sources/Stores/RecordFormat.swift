import ClusterClient
import FoundationEssentials
import JSON

/// The lines of an export: a header, one line for each record with its key and value as in etcd (2.9), and an end that
/// says how many records there were, so that a file that was cut is known for one.
///
/// ```
/// {"kind":"DatastoreExport","apiVersion":"swiftlet.io/v1","store":"local"}
/// {"key":"/calico/ipam/v2/handle/pods.0a1b","value":{"block":{"10.80.0.0/26":1},"deleted":false}}
/// {"kind":"DatastoreExportEnd","records":1}
/// ```
enum RecordLine: Hashable, Sendable {
    case header(store: String)
    case record(RecordKey, Data)
    case end(count: Int)

    private static let prefix = "/calico/"
    private static let kind = "DatastoreExport"
    private static let endKind = "DatastoreExportEnd"
    private static let version = "swiftlet.io/v1"

    /// The line with its end. Throws for a key that etcd cannot have (E6).
    func text() throws(DatastoreError) -> [UInt8] {
        var bytes: [UInt8]
        switch self {
        case .header(let store):
            let header: JSONValue = [
                "kind": .string(Self.kind), "apiVersion": .string(Self.version), "store": .string(store),
            ]
            bytes = Array(header.text().utf8)
        case .record(let key, let value):
            let path = key.calicoPath
            guard !path.contains(where: { $0.isEmpty || $0.contains("/") }) else {
                throw DatastoreError(.invalidKey, key, "cannot be exported: etcd has no such key")
            }
            bytes = Array(#"{"key":"#.utf8)
            JSONWriter.append(Self.prefix + path.joined(separator: "/"), to: &bytes)
            bytes += Array(#","value":"#.utf8)
            // Read and written, so that it is JSON on one line for certain.
            do throws(JSONReader.Failure) {
                bytes += Array(try JSONValue(parsing: value.span).text().utf8)
            } catch {
                throw DatastoreError(.corrupt, key, "is not JSON: \(error)")
            }
            bytes.append(UInt8(ascii: "}"))
        case .end(let count):
            let end: JSONValue = ["kind": .string(Self.endKind), "records": .number(count)]
            bytes = Array(end.text().utf8)
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// Reads a line. Throws the reason why it is none.
    init(_ text: [UInt8]) throws(Malformed) {
        let value: JSONValue
        do throws(JSONReader.Failure) {
            value = try JSONValue(parsing: text.span)
        } catch {
            throw Malformed(reason: "is not JSON: \(error)")
        }
        guard case .object(let object) = value else { throw Malformed(reason: "is no JSON object") }
        if case .string(let path)? = object["key"] {
            guard path.hasPrefix(Self.prefix),
                let key = RecordKey(
                    calicoPath: path.dropFirst(Self.prefix.count).split(
                        separator: "/",
                        omittingEmptySubsequences: false
                    )
                    .map(String.init)
                )
            else { throw Malformed(reason: "has the key \"\(path)\", which is not of Calico's IPAM") }
            guard let value = object["value"] else { throw Malformed(reason: "has no value") }
            self = .record(key, Data(Array(value.text().utf8)))
            return
        }
        switch object["kind"] {
        case .string(Self.kind)?:
            guard object["apiVersion"] == .string(Self.version) else {
                throw Malformed(reason: "is the header of an export in another version than \(Self.version)")
            }
            if case .string(let store)? = object["store"] {
                self = .header(store: store)
            } else {
                self = .header(store: "")
            }
        case .string(Self.endKind)?:
            guard case .number(let digits)? = object["records"], let count = Int(digits) else {
                throw Malformed(reason: "does not say how many records there are")
            }
            self = .end(count: count)
        default:
            throw Malformed(reason: "is no line of an export")
        }
    }

    struct Malformed: Error, Hashable {
        /// As the end of a sentence that starts with the line.
        let reason: String
    }
}
