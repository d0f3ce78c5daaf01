import Foundation
import KubernetesAPI
import KubernetesWire
import Testing

/// When the change happened that made a slice: an annotation, which may stand between others and may be anything.
@Suite struct TriggerTimeTests {
    private static let name = EndpointSlice.triggerTimeAnnotation
    private static let time = "2026-11-25T08:14:03.5Z"

    /// - Parameter metadata: members of the metadata, in JSON.
    private func json(_ metadata: String) -> String {
        #"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","ports":[],"endpoints":[],"#
            + #""metadata":{"name":"s","namespace":"n"\#(metadata)}}"#
    }

    static let cases: [(metadata: String, isTime: Bool)] = [
        ("", false), (#","annotations":{}"#, false), (#","annotations":null"#, false),
        (#","annotations":{"a":"b","\#(name)":"\#(time)","c":"d"}"#, true),
        (#","annotations":{"\#(name)":"yesterday"}"#, false), (#","annotations":{"other":"\#(time)"}"#, false),
        (#","labels":{"\#(name)":"\#(time)"}"#, false),
    ]

    private func time(_ decoded: Decoded) -> Timestamp? {
        guard case .object(.endpointSlice(let slice)) = decoded, slice.metadata.name == "s" else {
            Issue.record("not decoded: \(decoded)")
            return nil
        }
        return slice.lastChangeTriggerTime
    }

    @Test(arguments: cases) func isReadFromJSON(_ metadata: String, _ isTime: Bool) throws {
        let expected = isTime ? Timestamp(Self.time) : nil
        let text = json(metadata)
        #expect(time(try decoded(.endpointSlice, Array(text.utf8), .json)) == expected)
        // As manifests are read.
        let object = try decodedByCodable(.endpointSlice, Data(text.utf8))
        #expect(time(.object(object)) == expected)
    }

    /// Fields that messages do not have are written by hand: length-delimited, all of them short.
    private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2, UInt8(bytes.count)] + bytes
    }

    @Test func isReadFromProtobuf() throws {
        func annotation(_ key: String, _ value: String) -> [UInt8] {
            field(12, field(1, Array(key.utf8)) + field(2, Array(value.utf8)))
        }
        let names = field(1, Array("s".utf8)) + field(3, Array("n".utf8))
        let other = annotation("a", "b")
        for (annotations, expected) in [
            ([], nil), (other, nil), (other + annotation(Self.name, Self.time) + other, Timestamp(Self.time)),
            (annotation(Self.name, "yesterday"), nil),
        ] as [([UInt8], Timestamp?)] {
            let raw = field(1, names + annotations) + field(4, Array("IPv4".utf8))
            let type = field(1, Array("discovery.k8s.io/v1".utf8)) + field(2, Array("EndpointSlice".utf8))
            // runtime.Unknown, with its magic number in front; the raw bytes may be longer than one byte tells.
            let length = [UInt8(raw.count & 0x7f | 0x80), UInt8(raw.count >> 7)]
            let bytes = [0x6b, 0x38, 0x73, 0x00] + field(1, type) + [2 << 3 | 2] + length + raw
            #expect(time(try decoded(.endpointSlice, bytes, .protobuf)) == expected)
        }
    }
}
