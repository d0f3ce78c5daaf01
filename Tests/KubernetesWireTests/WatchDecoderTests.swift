import KubernetesAPI
import KubernetesWire
import Testing

@Suite struct WatchDecoderTests {
    private static let service =
        #"{"kind":"Service","apiVersion":"v1","metadata":{"name":"a","namespace":"b"},"spec":{}}"#

    @Test(arguments: ["", "\n", "\r\n", " \t\n\n "])
    func whatStandsBetweenEvents(_ separator: String) throws {
        let event = #"{"type":"ADDED","object":\#(Self.service)}"#
        let text = separator + event + separator + event + separator
        #expect(try events(.service, .json, Array(text.utf8), pieces: 1).count == 2)
    }

    @Test func membersInAnyOrderAndUnknownOnes() throws {
        let text = #"{"x":[{}],"object":\#(Self.service),"y":"}{","type":"MODIFIED"}"#
        guard case .modified(let object) = try events(.service, .json, Array(text.utf8)).first else {
            Issue.record("no event")
            return
        }
        #expect(object.key.description == "Service b/a")
    }

    @Test(arguments: [
        ("nothing", #"expected an object, found "n""#), ("[]", #"expected an object, found "[""#),
        ("{]", "expected a member name"), (#"{"type":"ADDED"}"#, "an event of the watch has no object"),
        (#"{"object":{}}"#, #""" is no type of a watch event"#),
        (#"{"type":"GONE","object":{}}"#, #""GONE" is no type of a watch event"#),
        (#"{"type":7,"object":{}}"#, "expected a string"),
        (#"{"type":"BOOKMARK","object":{"metadata":{}}}"#, "a bookmark of the watch has no resourceVersion"),
        (#"{"type":"ERROR","object":{"kind":"Service"}}"#, "the error of the watch is no Status"),
    ])
    func whatIsNoWatchStream(_ text: String, _ reason: String) {
        let error = #expect(throws: WireError.self) { try events(.service, .json, Array(text.utf8)) }
        #expect(error?.message.contains(reason) == true, "\(error as Any)")
        #expect(error?.reason == .malformed)
    }

    @Test(
        arguments: [
            ([0, 0, 0, 0], "no object"), ([0, 0, 0, 1, 0x0a], "the message ends within a number"),
            ([0, 0, 0, 2, 0x0a, 9], "longer than its message"), ([0, 0, 0, 2, 0x0f, 0], "wire type 7"),
            ([0, 0, 0, 4, 0x12, 2, 0x0a, 0], "is no type"),
            ([0, 0, 0, 11] + [0x0a, 5] + Array("ADDED".utf8) + [0x12, 2, 0x0a, 0], "does not start with k8s"),
        ] as [([UInt8], String)]
    )
    func whatIsNoWatchStreamInProtobuf(_ bytes: [UInt8], _ reason: String) {
        let error = #expect(throws: WireError.self) { try events(.service, .protobuf, bytes) }
        #expect(error?.message.contains(reason) == true, "\(error as Any)")
    }

    @Test func aLineWithoutEndIsRefusedAtTheLimit() {
        var decoder = WatchDecoder(.service, .json, StringPool())
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 64 << 10)
        decoder.append(Array(#"{"type":"ADDED","object":{"metadata":{"name":""#.utf8))
        var taken = 0
        let error = #expect(throws: WireError.self) {
            while taken < 100 << 20 {
                decoder.append(chunk)
                taken += chunk.count
                while try decoder.next() != nil {}
            }
        }
        #expect(error?.reason == .tooLarge)
        #expect(error?.message == "an event of the watch is larger than 16777216 bytes")
        #expect(taken <= WatchDecoder.defaultFrameLimit + chunk.count)
        // The stream is over: nothing more is kept, and the reason stays.
        decoder.append(chunk)
        #expect(decoder.pendingBytes == 0)
        let again = #expect(throws: WireError.self) { try decoder.next() }
        #expect(again == error)
    }

    @Test func aHugeLengthIsRefusedAtOnce() {
        var decoder = WatchDecoder(.service, .protobuf, StringPool())
        decoder.append([0xff, 0xff, 0xff, 0xff])
        let error = #expect(throws: WireError.self) { try decoder.next() }
        #expect(error?.reason == .tooLarge)
        #expect(error?.message == "an event of the watch has 4294967295 bytes, more than 16777216")
    }

    @Test(arguments: WireEncoding.allCases)
    func anEventOfExactlyTheLimit(_ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 8)
        let object = random.object(.service)
        let frame = Wire.encodeEvent(.added, object, encoding)
        // Without the length before it, and without the line break behind it.
        let size = frame.count - (encoding == .protobuf ? 4 : 1)
        var decoder = WatchDecoder(.service, encoding, StringPool(), frameLimit: size)
        decoder.append(frame)
        #expect(try decoder.next() == .added(object))
        decoder = WatchDecoder(.service, encoding, StringPool(), frameLimit: size - 1)
        decoder.append(frame)
        #expect(throws: WireError.self) { try decoder.next() }
    }

    @Test(arguments: WireEncoding.allCases)
    func aStreamThatIsCutTellsSo(_ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 9)
        let frame = Wire.encodeEvent(.added, random.object(.node), encoding)
        var decoder = WatchDecoder(.node, encoding, StringPool())
        decoder.append(Array(frame.dropLast(2)))
        #expect(try decoder.next() == nil)
        #expect(decoder.pendingBytes == frame.count - 2)
    }

    /// A long stream needs no more memory than its largest event.
    @Test(arguments: WireEncoding.allCases)
    func whatWasReadIsGivenBack(_ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 10)
        let frame = Wire.encodeEvent(.added, random.object(.service), encoding)
        var decoder = WatchDecoder(.service, encoding, StringPool())
        for _ in 0..<2000 {
            decoder.append(frame)
            #expect(try decoder.next() != nil)
            #expect(decoder.pendingBytes <= 1)
        }
        #expect(try decoder.next() == nil)
    }
}
