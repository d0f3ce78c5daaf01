import JSON
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesWire

@Suite struct ProtobufTests {
    private func envelope(_ kind: ObjectKind, _ text: String) throws -> [UInt8]? {
        func message<Body: ObjectMessage>(_ type: Body.Type) throws -> [UInt8]? {
            let body = try? JSONReader.read(Array(text.utf8).span) { (reader) throws(JSONReader.Failure) in
                try reader.message(Body.self)
            }
            return try body?.serializedBytes()
        }
        let raw =
            switch kind {
            case .service: try message(CoreService.self)
            case .endpointSlice: try message(DiscoveryEndpointSlice.self)
            case .endpoints: try message(CoreEndpoints.self)
            case .node: try message(CoreNode.self)
            case .serviceCIDR: try message(NetworkingServiceCIDR.self)
            }
        return raw.map { Envelope.wrap($0, apiVersion: kind.apiVersion, kind: kind.rawValue) }
    }

    /// What JSON can hold and may not, protobuf may not either, and the reason is the same.
    @Test func faultsAreThoseOfJSON() throws {
        var count = 0
        for fault in SkippedObjectTests.faults {
            // Wrong types cannot be written in protobuf.
            guard let bytes = try envelope(fault.kind, SkippedObjectTests.json(fault)) else { continue }
            guard case .skipped(let skipped) = try decoded(fault.kind, bytes, .protobuf) else {
                Issue.record("\(fault.reason): not skipped")
                continue
            }
            #expect("\(skipped.reason)" == fault.reason)
            #expect(skipped.resourceVersion == "7" && skipped.key?.name.name == "web")
            count += 1
        }
        #expect(count > 10)
    }

    @Test func aDamagedItemIsSkippedByName() throws {
        let metadata = ObjectMeta(name: "web", namespace: "shop", uid: "the-uid-of-it", resourceVersion: "7")
        let damaged = KubernetesObject.endpoints(Endpoints(metadata: metadata, subsets: []))
        var random = RandomObjects(seed: 15)
        let good = random.object(.endpoints)
        var bytes = Wire.encode(.endpoints, ListPage(items: [damaged, good], resourceVersion: "9"), .protobuf)
        let uid = try #require(bytes.firstRange(of: Array("the-uid-of-it".utf8)))
        bytes[uid.lowerBound] = 0xff
        let page = try decodedList(.endpoints, bytes, .protobuf)
        #expect(page.items == [good] && page.resourceVersion == "9")
        #expect(page.skipped.map(\.key) == [damaged.key])
        #expect(page.skipped.map(\.resourceVersion) == ["7"])
        #expect(page.skipped.first?.reason.reason.hasPrefix("not protobuf in bytes ") == true)
    }

    /// A newer server sends fields that nobody here knows.
    @Test func unknownFieldsAreSkipped() throws {
        var random = RandomObjects(seed: 16)
        let object = random.object(.node)
        var writer = ProtobufWriter(try object.message.serializedBytes())
        writer.field(19, Array("a field of tomorrow".utf8))
        writer.field(100_000, [])
        let bytes = Envelope.wrap(writer.bytes, apiVersion: "v1", kind: "Node")
        #expect(try decoded(.node, bytes, .protobuf) == .object(object))
        let message = try Protobuf.message(CoreNode.self, 0..<writer.bytes.count, in: writer.bytes.span)
        #expect(message.unknownFields == UnknownStorage())
    }

    @Test(arguments: ["gzip", "application/json"])
    func contentOfAnotherForm(_ form: String) {
        for number: UInt64 in [3, 4] {
            var writer = ProtobufWriter(Envelope.magic)
            writer.field(number, Array(form.utf8))
            let bytes = writer.bytes
            let error = #expect(throws: WireError.self) { try decoded(.node, bytes, .protobuf) }
            #expect(error?.message == "the content of the envelope is \(form), expected protobuf")
        }
    }

    @Test(arguments: [Int64.max, Int64.min, 20_000_000_000, -20_000_000_000])
    func timesThatNoCalendarHas(_ seconds: Int64) throws {
        var node = CoreNode()
        node.metadata.name = "n1"
        node.metadata.creationTimestamp.seconds = seconds
        let bytes = Envelope.wrap(try node.serializedBytes(), apiVersion: "v1", kind: "Node")
        guard case .skipped(let skipped) = try decoded(.node, bytes, .protobuf) else {
            Issue.record("not skipped")
            return
        }
        #expect("\(skipped)" == "Node n1: metadata.creationTimestamp: is not a time from 1678 to 2261")
    }

    /// The API server writes an absent time as an empty message.
    @Test func anAbsentTime() throws {
        var node = CoreNode()
        node.metadata.name = "n1"
        node.metadata.creationTimestamp = MetaTime()
        let bytes = Envelope.wrap(try node.serializedBytes(), apiVersion: "v1", kind: "Node")
        #expect(try decoded(.node, bytes, .protobuf) == .object(.node(Node(metadata: ObjectMeta(name: "n1")))))
    }
}
