import Foundation
import KubernetesAPI
import KubernetesWire
import Testing

@Suite struct RoundTripTests {
    @Test(arguments: ObjectKind.allCases, WireEncoding.allCases)
    func objects(_ kind: ObjectKind, _ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 1)
        for _ in 0..<500 {
            let object = random.object(kind)
            let bytes = Wire.encode(object, encoding)
            #expect(try decoded(kind, bytes, encoding) == .object(object))
        }
    }

    /// Manifests are read by another reader: neither may see what the other does not.
    @Test(arguments: ObjectKind.allCases)
    func theReaderOfManifestsSeesTheSame(_ kind: ObjectKind) throws {
        var random = RandomObjects(seed: 2)
        for _ in 0..<500 {
            let object = random.object(kind)
            #expect(try decodedByCodable(kind, Data(Wire.encode(object, .json))) == object)
            let text = Array(try JSONEncoder().encode(object))
            #expect(try decoded(kind, text, .json) == .object(object))
        }
    }

    @Test(arguments: ObjectKind.allCases, WireEncoding.allCases)
    func lists(_ kind: ObjectKind, _ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 3)
        for count in [0, 1, 20] {
            let page = ListPage(
                items: (0..<count).map { _ in random.object(kind) },
                resourceVersion: "4711",
                continueToken: count == 20 ? "next" : "",
                remainingItemCount: count == 20 ? 5_000_000_000 : nil
            )
            let bytes = Wire.encode(kind, page, encoding)
            #expect(try decodedList(kind, bytes, encoding) == page)
        }
    }

    @Test(arguments: ObjectKind.allCases, WireEncoding.allCases)
    func watches(_ kind: ObjectKind, _ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 4)
        var bytes: [UInt8] = []
        var expected: [WatchEvent] = []
        for _ in 0..<50 {
            let object = random.object(kind)
            let version = object.metadata.resourceVersion
            bytes += Wire.encodeEvent(.added, object, encoding)
            bytes += Wire.encodeEvent(.modified, object, encoding)
            bytes += Wire.encodeBookmark(kind, resourceVersion: "7", initialEventsEnd: false, encoding)
            bytes += Wire.encodeBookmark(kind, resourceVersion: "8", initialEventsEnd: true, encoding)
            bytes += Wire.encodeEvent(.deleted, object, encoding)
            expected += [
                .added(object), .modified(object), .bookmark(resourceVersion: "7", initialEventsEnd: false),
                .bookmark(resourceVersion: "8", initialEventsEnd: true),
                .deleted(object.key, resourceVersion: version),
            ]
        }
        let gone = Status(status: "Failure", message: "too old", reason: "Expired", code: 410)
        bytes += Wire.encodeErrorEvent(gone, encoding)
        expected.append(.error(gone))
        for pieces in [1, 2, 5, 64, 1000, bytes.count] {
            #expect(try events(kind, encoding, bytes, pieces: pieces) == expected)
        }
    }

    @Test(arguments: WireEncoding.allCases)
    func statuses(_ encoding: WireEncoding) {
        let all = [
            Status(status: "Success", message: "", reason: "", code: 0),
            Status(
                status: "Failure",
                message: "Service \"a\" is invalid",
                reason: "Invalid",
                code: 422,
                details: Status.Details(
                    name: "a",
                    group: "apps",
                    kind: "services",
                    uid: "u",
                    retryAfterSeconds: 3,
                    causes: [Status.Cause(reason: "r", message: "m", field: "spec.ports"), Status.Cause()]
                )
            ),
        ]
        for value in all {
            #expect(decodedStatus(Wire.encode(value, encoding), encoding) == value)
        }
    }

    @Test(
        arguments: [
            ("application/json", WireEncoding.json), ("application/json;charset=utf-8", .json),
            ("Application/JSON ; x", .json), ("application/vnd.kubernetes.protobuf", .protobuf),
            ("application/vnd.kubernetes.protobuf;stream=watch", .protobuf), ("text/plain", nil), ("", nil),
            ("application/jsonx", nil),
        ] as [(String, WireEncoding?)]
    )
    func contentTypes(_ text: String, _ encoding: WireEncoding?) {
        #expect(WireEncoding(contentType: text) == encoding)
    }
}
