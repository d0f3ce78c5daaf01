import JSON
import Testing

@Suite struct JSONWriterTests {
    static func text(indentation: Int? = nil, _ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter(indentation: indentation)
        write(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    static func record(_ writer: inout JSONWriter) {
        writer.object { writer in
            writer.name("a")
            writer.array([1, nil, -3]) { writer, number in
                if let number { writer.integer(number) } else { writer.null() }
            }
            writer.name("b")
            writer.object { _ in }
            writer.name("c")
            writer.array([[], [UInt64.max]]) { writer, row in
                writer.array(row) { writer, number in writer.integer(number) }
            }
            writer.name("d")
            writer.boolean(true)
            writer.name("e")
            writer.number("1.50e1")
        }
    }

    @Test func onOneLine() {
        #expect(
            Self.text(Self.record)
                == #"{"a":[1,null,-3],"b":{},"c":[[],[18446744073709551615]],"d":true,"e":1.50e1}"#
        )
    }

    @Test func spreadOverLines() {
        #expect(
            Self.text(indentation: 2, Self.record) == """
                {
                  "a": [
                    1,
                    null,
                    -3
                  ],
                  "b": {},
                  "c": [
                    [],
                    [
                      18446744073709551615
                    ]
                  ],
                  "d": true,
                  "e": 1.50e1
                }
                """
        )
    }

    @Test func stringsAreEscaped() throws {
        let string = "\"\\/\n\r\t\u{0}\u{8}\u{1f}\u{7f}é😀\u{2028}"
        let text = Self.text { writer in writer.string(string) }
        #expect(text == #""\"\\/\n\r\t\u0000\u0008\u001f\u007fé😀"# + "\u{2028}\"")
        #expect(try JSONValue(parsing: Array(text.utf8).span) == .string(string))
    }
}
