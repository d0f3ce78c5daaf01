import KubernetesAPI
import KubernetesWire
import Testing

/// Input that nobody vouches for: an error or a skipped object, never a crash, always within the same memory.
@Suite struct HostileInputTests {
    /// Reads bytes as everything that they could be.
    private func readAll(_ kind: ObjectKind, _ encoding: WireEncoding, _ bytes: [UInt8]) {
        _ = try? decodedList(kind, bytes, encoding)
        _ = try? decoded(kind, bytes, encoding)
        _ = decodedStatus(bytes, encoding)
        _ = try? events(kind, encoding, bytes)
    }

    private func samples(_ kind: ObjectKind, _ encoding: WireEncoding) -> [[UInt8]] {
        var random = RandomObjects(seed: 11)
        let object = random.object(kind)
        let gone = Status(
            status: "Failure",
            message: "m",
            reason: "Expired",
            code: 410,
            details: Status.Details(name: "n", causes: [Status.Cause(field: "f")])
        )
        return [
            Wire.encode(kind, ListPage(items: [object, random.object(kind)], resourceVersion: "9"), encoding),
            Wire.encode(object, encoding),
            Wire.encode(gone, encoding),
            Wire.encodeEvent(.added, object, encoding) + Wire.encodeEvent(.deleted, object, encoding)
                + Wire.encodeBookmark(kind, resourceVersion: "5", initialEventsEnd: true, encoding)
                + Wire.encodeErrorEvent(gone, encoding),
        ]
    }

    @Test(arguments: ObjectKind.allCases, WireEncoding.allCases)
    func cutAtEveryByte(_ kind: ObjectKind, _ encoding: WireEncoding) {
        for (index, sample) in samples(kind, encoding).enumerated() {
            for length in 0..<sample.count {
                let cut = Array(sample.prefix(length))
                readAll(kind, encoding, cut)
                // Text that is cut is no list and no object; of protobuf, what is whole counts.
                if encoding == .json, index == 0 {
                    #expect(throws: WireError.self) { try decodedList(kind, cut, encoding) }
                }
            }
        }
    }

    @Test(arguments: ObjectKind.allCases, WireEncoding.allCases)
    func flippedBits(_ kind: ObjectKind, _ encoding: WireEncoding) {
        for sample in samples(kind, encoding) {
            for index in sample.indices {
                var damaged = sample
                damaged[index] ^= 1 << (index % 8)
                readAll(kind, encoding, damaged)
            }
        }
    }

    @Test(arguments: ObjectKind.allCases, WireEncoding.allCases)
    func damageInManyPlaces(_ kind: ObjectKind, _ encoding: WireEncoding) {
        var random = RandomObjects(seed: 12)
        for sample in samples(kind, encoding) {
            for _ in 0..<300 {
                var damaged = sample
                for _ in 0..<random.number(1...8) {
                    let place = random.number(0...damaged.count - 1)
                    switch random.number(0...3) {
                    case 0: damaged[place] = UInt8(random.number(0...255))
                    case 1: damaged.insert(UInt8(random.number(0...255)), at: place)
                    case 2: damaged.removeSubrange(place..<min(damaged.count, place + random.number(1...16)))
                    default: damaged.replaceSubrange(place..<place, with: sample.prefix(random.number(0...64)))
                    }
                    if damaged.isEmpty { damaged = [0] }
                }
                readAll(kind, encoding, damaged)
            }
        }
    }

    @Test(arguments: WireEncoding.allCases)
    func randomBytes(_ encoding: WireEncoding) {
        var random = RandomObjects(seed: 13)
        for _ in 0..<2000 {
            let bytes = (0..<random.number(0...200)).map { _ in UInt8(random.number(0...255)) }
            readAll(.service, encoding, bytes)
            if encoding == .protobuf { readAll(.endpointSlice, encoding, [0x6b, 0x38, 0x73, 0] + bytes) }
        }
    }

    /// Every value of a good object is replaced by values of every other type.
    @Test(arguments: ObjectKind.allCases)
    func wrongTypes(_ kind: ObjectKind) throws {
        let wrong = ["null", "true", "-1", "1e400", "\"\"", "\"x\"", "[]", "[null]", "{}", "{\"a\":{}}"]
        var random = RandomObjects(seed: 14)
        for _ in 0..<5 {
            let text = Wire.encode(random.object(kind), .json)
            for range in values(of: text) {
                for value in wrong {
                    var changed = text
                    changed.replaceSubrange(range, with: value.utf8)
                    // It stays JSON: so it is an object, or a skipped one, and never an error.
                    _ = try decoded(kind, changed, .json)
                }
            }
        }
    }

    /// Where each value in a text without white space is, found by its brackets and quotation marks.
    private func values(of text: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var open: [Int] = []
        var index = 0
        while index < text.count {
            let start = index
            switch text[index] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): open.append(index)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): found.append(open.removeLast()..<index + 1)
            case UInt8(ascii: "\""):
                index += 1
                while text[index] != UInt8(ascii: "\"") { index += text[index] == UInt8(ascii: "\\") ? 2 : 1 }
                if index + 1 == text.count || text[index + 1] != UInt8(ascii: ":") { found.append(start..<index + 1) }
            case UInt8(ascii: ","), UInt8(ascii: ":"): break
            default:
                while !",]}".utf8.contains(text[index + 1]) { index += 1 }
                found.append(start..<index + 1)
            }
            index += 1
        }
        return found
    }

    @Test(arguments: ["[", "{\"a\":", "{\"object\":{\"metadata\":{\"labels\":"])
    func deepNesting(_ piece: String) {
        let text = Array(String(repeating: piece, count: 100_000).utf8)
        let error = #expect(throws: WireError.self) { try decodedList(.service, text, .json) }
        #expect(error?.reason == .malformed)
        readAll(.node, .json, text)
        readAll(.node, .json, Array("{\"type\":\"ADDED\",\"object\":".utf8) + text)
    }

    @Test func deepNestingInProtobuf() {
        var bytes: [UInt8] = []
        for _ in 0..<2000 {
            let count = bytes.count
            bytes = [0x0a, UInt8(count & 0x7f) | 0x80, UInt8(count >> 7 & 0x7f) | 0x80, UInt8(count >> 14)] + bytes
        }
        readAll(.service, .protobuf, bytes)
        readAll(.service, .protobuf, [0x6b, 0x38, 0x73, 0] + bytes)
    }

    /// Lengths that reach beyond everything, with numbers of up to 64 bits.
    @Test func hugeLengths() {
        let huge: [[UInt8]] = [
            [0xff, 0xff, 0xff, 0xff, 0x07], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ]
        for length in huge {
            for tag: UInt8 in [0x0a, 0x12, 0x1a, 0x08, 0x10] {
                let bytes: [UInt8] = [0x6b, 0x38, 0x73, 0, tag] + length
                let error = #expect(throws: WireError.self) { try decodedList(.service, bytes, .protobuf) }
                #expect(error != nil)
            }
        }
    }

    /// A name of 100 MiB is read once, and is in no message.
    @Test func aHugeName() throws {
        let name = String(repeating: "n", count: 100 << 20)
        let text = #"{"kind":"Service","apiVersion":"v1","metadata":{"name":"\#(name)","namespace":"a"},"spec":{}}"#
        guard case .skipped(let skipped) = try decoded(.service, Array(text.utf8), .json) else {
            Issue.record("not skipped")
            return
        }
        #expect(skipped.reason.reason.utf8.count < 1000)
        #expect(skipped.key == nil)
    }
}
