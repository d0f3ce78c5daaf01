import Foundation
import KubernetesAPI
import KubernetesWire

// What the tests of this module share.

/// Exchanges that were recorded from a real API server; they lie beside the package where there are any.
enum Recordings {
    static let directory = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared/recordings").standardizedFileURL

    static let exist = FileManager.default.fileExists(atPath: directory.appending(path: "INDEX.md").path)

    /// The body of a response, without chunk framing.
    static func body(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: directory.appending(path: "\(name).body")))
    }
}

func decodedList(_ kind: ObjectKind, _ bytes: [UInt8], _ encoding: WireEncoding) throws(WireError) -> ListPage {
    try Wire.decodeList(kind, bytes.span, encoding, StringPool())
}

func decoded(_ kind: ObjectKind, _ bytes: [UInt8], _ encoding: WireEncoding) throws(WireError) -> Decoded {
    try Wire.decodeObject(kind, bytes.span, encoding, StringPool())
}

func decodedStatus(_ bytes: [UInt8], _ encoding: WireEncoding) -> Status? {
    Wire.decodeStatus(bytes.span, encoding)
}

/// Every event that a stream holds, fed in pieces of a size.
func events(
    _ kind: ObjectKind,
    _ encoding: WireEncoding,
    _ bytes: [UInt8],
    pieces: Int = .max
) throws(WireError) -> [WatchEvent] {
    var decoder = WatchDecoder(kind, encoding, StringPool())
    var events: [WatchEvent] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let piece = rest.prefix(pieces)
        rest = rest.dropFirst(piece.count)
        decoder.append(Array(piece))
        while let event = try decoder.next() { events.append(event) }
    }
    guard decoder.pendingBytes == 0 else { throw WireError(.malformed, "\(decoder.pendingBytes) bytes are left") }
    return events
}

/// An object as the other reader of the JSON form has it, the one that manifests go through.
func decodedByCodable(_ kind: ObjectKind, _ text: Data) throws -> KubernetesObject {
    struct Holder: Decodable {
        let object: KubernetesObject

        init(from decoder: any Decoder) throws {
            let kind = try decoder.container(keyedBy: Keys.self).decode(String.self, forKey: .kind)
            object = try KubernetesObject(ObjectKind(rawValue: kind) ?? .service, from: decoder)
        }

        enum Keys: CodingKey { case kind }
    }
    return try JSONDecoder().decode(Holder.self, from: text).object
}
