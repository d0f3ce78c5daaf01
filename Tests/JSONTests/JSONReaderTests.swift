import JSON
import Testing

@Suite struct JSONReaderTests {
    typealias Failure = JSONReader.Failure

    static func read<Value>(
        _ text: String,
        _ value: (inout JSONReader) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try JSONReader.read(Array(text.utf8).span, value)
    }

    @Test func recordsAreReadInOnePass() throws {
        var names: [String] = []
        var numbers: [Int?] = []
        var isOpen = false
        var title: String?
        let text =
            #" { "n" : [ 1 , null,-3 ] ,"open":true, "other":{"x":["\"]}",-1.5e+3,{}]}, "t\u0069tle":"a\tb", "t":null} "#
        try Self.read(text) { (reader) throws(Failure) in
            try reader.object { (name, reader) throws(Failure) in
                names.append(name)
                switch name {
                case "n":
                    try reader.array { (reader) throws(Failure) in
                        numbers.append(try reader.optional { (reader) throws(Failure) in try reader.integer() })
                    }
                case "open": isOpen = try reader.boolean()
                case "title": title = try reader.string()
                default: try reader.skip()
                }
            }
        }
        #expect(names == ["n", "open", "other", "title", "t"])
        #expect(numbers == [1, nil, -3])
        #expect(isOpen)
        #expect(title == "a\tb")
    }

    @Test func wholeNumbersStayInRange() throws {
        func integer<Integer: FixedWidthInteger>(_ text: String, _ type: Integer.Type) -> Integer? {
            try? Self.read(text) { (reader) throws(Failure) in try reader.integer(type) }
        }
        #expect(integer("0", Int.self) == 0)
        #expect(integer(" -0 ", UInt64.self) == 0)
        #expect(integer("-128", Int8.self) == -128)
        #expect(integer("-129", Int8.self) == nil)
        #expect(integer("128", Int8.self) == nil)
        #expect(integer("255", UInt8.self) == 255)
        #expect(integer("-1", UInt64.self) == nil)
        #expect(integer("\(Int64.min)", Int64.self) == .min)
        #expect(integer("\(Int64.max)", Int64.self) == .max)
        #expect(integer("-9223372036854775809", Int64.self) == nil)
        #expect(integer("\(UInt64.max)", UInt64.self) == .max)
        #expect(integer("\(UInt64.max)", Int64.self) == nil)
        #expect(integer("-\(UInt64.max)", Int64.self) == nil)
        #expect(integer("18446744073709551616", UInt64.self) == nil)
        for text in ["", "-", "01", "-01", "1.0", "1e3", "1E3", "+1", "\"1\"", "null", "1 2", "١"] {
            #expect(integer(text, Int.self) == nil, "\(text)")
        }
    }

    @Test(
        arguments: [
            ("null", .null), ("true", .boolean), (" false", .boolean), ("-1", .number), ("7", .number),
            ("\"\"", .string),
            ("[]", .array), ("\n{}", .object),
        ] as [(String, JSONReader.Kind)]
    )
    func kindIsToldWithoutReading(_ text: String, _ kind: JSONReader.Kind) throws {
        let told = try Self.read(text) { (reader) throws(Failure) in
            let kind = try reader.kind()
            try reader.skip()
            return kind
        }
        #expect(told == kind)
    }

    /// What nobody wants is still no place for nonsense.
    @Test(arguments: [
        "", "nul", "nullx", "tru", "01", "1.", "--1", "1e", "1-2", "e", "[1,]", "[1 2]", "{\"a\":1,}", "{\"a\"}",
        "{a:1}", "{1:1}", "[}", "\"", "\"\\\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"a\nb\"", "{} {}",
    ])
    func skippingIsStrict(_ text: String) {
        #expect(throws: Failure.self) { try Self.read(text) { (reader) throws(Failure) in try reader.skip() } }
        #expect(throws: Failure.self) {
            try Self.read("{\"x\":\(text)") { (reader) throws(Failure) in
                try reader.object { (_, reader) throws(Failure) in try reader.skip() }
            }
        }
    }

    @Test func depthIsBounded() throws {
        let deepest = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        try Self.read(deepest) { (reader) throws(Failure) in try reader.skip() }
        // Depth is what is open, not what was.
        try Self.read("[" + String(repeating: "{\"a\":[]},", count: 1000) + "0]") { (reader) throws(Failure) in
            try reader.skip()
        }
        for text in ["[" + deepest + "]", String(repeating: "{\"a\":", count: 1_000_000)] {
            #expect {
                try Self.read(text) { (reader) throws(Failure) in try reader.skip() }
            } throws: {
                "\($0)".contains("nested deeper than 128")
            }
        }
    }

    @Test(arguments: [
        (#"{"a" 1}"#, "expected a colon at byte 5"),
        (#"{"a":1"#, "unexpected end, expected a comma or the end at byte 6"),
        (#"{"a":tru}"#, "expected true or false at byte 5"),
        ("{} x", "unexpected text behind the value at byte 3"),
        (#"{"a":"b"#, "unexpected end, expected the end of the string at byte 7"),
    ])
    func failuresSayWhatAndWhere(_ text: String, _ message: String) {
        #expect {
            try Self.read(text) { (reader) throws(Failure) in try reader.skip() }
        } throws: {
            "\($0)" == message
        }
    }

    /// Reading and skipping agree on what is JSON, whatever one does to a text.
    @Test func hostileInput() {
        let seed = Array(#"{"a":[1,-2.5e3,null,true,"\u00e9\n\ud83d\ude00é"],"b":{"c":"","d":[[],{}]}}"#.utf8)
        let bytes = Array(#"{}[]",:\u0x9-+.eE "#.utf8) + [0, 0x1f, 0x7f]
        var accepted = 0
        for _ in 0..<50_000 {
            var text = seed
            for _ in 0..<Int.random(in: 1...3) {
                let at = Int.random(in: 0..<text.count)
                switch Int.random(in: 0..<4) {
                case 0: text[at] = bytes.randomElement()!
                case 1: text.insert(bytes.randomElement()!, at: at)
                case 2 where text.count > 1: text.remove(at: at)
                default: text.removeSubrange(max(1, at)...)
                }
            }
            let value = try? JSONValue(parsing: text.span)
            let skips = (try? JSONReader.read(text.span) { (reader) throws(Failure) in try reader.skip() }) != nil
            let isUTF8 = String(validating: text, as: UTF8.self) != nil
            #expect((value != nil) == (skips && isUTF8))
            guard let value else { continue }
            accepted += 1
            #expect(try! JSONValue(parsing: Array(value.text().utf8).span) == value)
        }
        #expect(accepted > 1000)
    }
}
