import JSON
import Testing

@Suite struct JSONReaderMarkTests {
    @Test func aValueIsReadAgain() throws {
        let text = Array(#"[ {"a": [1, 2]}, "x"]"#.utf8)
        var read: [JSONValue] = []
        try JSONReader.read(text.span) { (reader) throws(JSONReader.Failure) in
            try reader.array { (reader) throws(JSONReader.Failure) in
                let mark = reader.mark()
                try reader.skip()
                reader.rewind(to: mark)
                read.append(try reader.value())
            }
        }
        #expect(read == [["a": [1, 2]], "x"])
    }

    /// What is open when a value fails does not count against the depth of what follows.
    @Test func goingBackRestoresTheDepth() throws {
        let text = Array("[[[[true]]],2]".utf8)
        let answer = try JSONReader.read(text.span) { (reader) throws(JSONReader.Failure) in
            var numbers: [Int] = []
            try reader.array { (reader) throws(JSONReader.Failure) in
                for _ in 0..<100 {
                    let mark = reader.mark()
                    do {
                        try reader.array { (reader) throws(JSONReader.Failure) in _ = try reader.string() }
                    } catch {
                        reader.rewind(to: mark)
                    }
                }
                if try reader.kind() == .number { numbers.append(try reader.integer()) } else { try reader.skip() }
            }
            return numbers
        }
        #expect(answer == [2])
    }

    @Test(arguments: [
        (#"{"a":{"b":[1,"x"]}}"#, #""x""#, [JSONReader.Step.key("a"), .key("b"), .index(1)]),
        (#"{"a":{"b":[1,"x"]}}"#, "[1", [.key("a"), .key("b")]), (#" {"a":1}"#, "{", []),
        (#"{"a":{"b":1},"c":{"d":[[],{"e":null}]}}"#, "null", [.key("c"), .key("d"), .index(1), .key("e")]),
        // Behind a value, as a number that is out of range has it.
        (#"{"a":[1,23]}"#, "]}", [.key("a"), .index(1)]),
        // A text that ends too early.
        (#"{"a":[1,"#, "", [.key("a"), .index(1)]),
    ])
    func theWayToAnOffset(_ text: String, _ mark: String, _ path: [JSONReader.Step]) throws {
        let place = mark.isEmpty ? text.endIndex : try #require(text.firstRange(of: mark)).lowerBound
        let bytes = Array(text.utf8)
        #expect(JSONReader.path(to: text.utf8.distance(from: text.startIndex, to: place), in: bytes.span) == path)
    }
}
