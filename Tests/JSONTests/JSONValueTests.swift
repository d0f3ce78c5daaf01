import Foundation
import JSON
import Testing

@Suite struct JSONValueTests {
    static func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8).span) }

    @Test(arguments: [
        ("null", "null"), (" true ", "true"), ("\t[\r\n]", "[]"), ("{ }", "{}"), ("-0", "-0"), ("1e999", "1e999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"), ("-0.5E-7", "-0.5E-7"),
        (#"{"b":1,"a":[1,2,{}],"b":null}"#, #"{"b":1,"a":[1,2,{}],"b":null}"#),
        (#""\u0041\/\n\u00e9\ud83d\ude00""#, #""A/\n\#u{e9}\#u{1f600}""#),
        (#""\u0000\u001f""#, #""\u0000\u001f""#),
    ])
    func accepts(_ text: String, _ written: String) throws {
        #expect(try Self.parse(text).text() == written)
    }

    @Test(arguments: [
        "", " ", "nul", "True", "01", "-", "1.", ".5", "1e", "+1", "0x1", "NaN", "[1,]", "[,1]", "[1 2]", "{\"a\":1,}",
        "{a:1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "\"", "\"\\", "\"\\x\"", "\"\\u12g4\"", "\"\\u123\"", "\"a\nb\"",
        "{} {}",
        // Halves of surrogate pairs.
        #""\ud83d""#, #""\ude00x""#, #""\ud83d\u0041""#, #""\ud83d\ud83d\ude00""#, #"{"\udc00":1}"#,
        "[", "{", "{\"a\":[", "]", "\u{feff}{}", "'a'", "//x\n1",
    ])
    func refuses(_ text: String) {
        #expect(throws: JSONReader.Failure.self) { try Self.parse(text) }
    }

    @Test func depthIsBounded() throws {
        let deep = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(try Self.parse(deep).text() == deep)
        for text in ["[", "{\"a\":"].map({ String(repeating: $0, count: 1_000_000) }) {
            #expect { try Self.parse(text) } throws: { "\($0)".contains("nested deeper than 128") }
        }
    }

    @Test(
        arguments: [
            [0xff], [0x61, 0xc3], [0xc3, 0x28], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80],
            [0x5c, 0x6e, 0xff],
        ] as [[UInt8]]
    )
    func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
        #expect { try JSONValue(parsing: ([0x22] + bytes + [0x22]).span) } throws: {
            "\($0)".contains("not UTF-8")
        }
    }

    @Test func lastOfRepeatedKeysCounts() throws {
        guard case .object(var object) = try Self.parse(#"{"a":1,"b":2,"a":3}"#) else { return }
        #expect(object["a"] == 3)
        object["a"] = nil
        #expect(object["a"] == nil)
        object["b"] = "x"
        object["c"] = [true]
        #expect(JSONValue.object(object).text() == #"{"b":"x","c":[true]}"#)
    }

    @Test func indentedText() throws {
        let value = try Self.parse(#"{"a":[1,{"b":[]}],"c":{}}"#)
        #expect(
            value.text(indentation: 4) == """
                {
                    "a": [
                        1,
                        {
                            "b": []
                        }
                    ],
                    "c": {}
                }
                """
        )
    }

    /// Whatever is taken is written so that Foundation's parser, which is not ours, reads the same.
    @Test func agreesWithFoundation() throws {
        let text = #"{"s":"\"\\\/\b\f\n\r\t\u0001\u007f é 😀","n":[0,-1,1.5,2e3],"b":[true,false,null],"o":{"":{}}}"#
        let ours =
            try JSONSerialization.jsonObject(with: Data(Self.parse(text).text(indentation: 2).utf8)) as? NSDictionary
        let theirs = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSDictionary
        #expect(ours == theirs)
    }
}
