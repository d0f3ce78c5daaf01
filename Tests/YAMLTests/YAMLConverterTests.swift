import Testing
import YAML

@Suite struct YAMLConverterTests {
    @Test func scalarsHaveTheTypesOfYAML() throws {
        let text = """
            [yes, "yes", 0x10, 010, 0o17, 08, 1_000, -5, +5, 1.50, .5, 1e3, ~, null, 10.0.0.1, fd00::1, 2026-11-21T03:18:49Z,
             !!str 12, '1', .inf, "a\\tb\\"c\\u0000", on, 1:30, 18446744073709551616]
            """
        var json = ""
        try Array(text.utf8).withUnsafeBufferPointer { bytes in
            try YAMLConverter.forEachDocument(of: bytes) { text, _ in json = String(decoding: text, as: UTF8.self) }
        }
        #expect(
            json
                == #"[true,"yes",16,8,15,"08",1000,-5,5,1.5,0.5,1000.0,null,null,"10.0.0.1","fd00::1","2026-11-21T03:18:49Z","#
                + #""12","1",".inf","a\tb\"c\u0000",true,"1:30",18446744073709551616]"#
        )
    }

    /// As some editors write it: YAML 1.2, 5.2.
    @Test func aByteOrderMarkIsNoText() throws {
        var json: [String] = []
        try Array("\u{feff}a: 1\r\n---\r\nb: \u{feff}\r\n".utf8).withUnsafeBufferPointer { bytes in
            try YAMLConverter.forEachDocument(of: bytes) { text, _ in json.append(String(decoding: text, as: UTF8.self))
            }
        }
        #expect(json.first == #"{"a":1}"# && json.count == 2, "\(json)")
    }

    @Test func aliasesAndMergeKeysAreExpanded() throws {
        let text = """
            base: &base {a: 1, b: [x]}
            more: &more {c: 3, a: 9}
            one: {<<: *base, a: 2}
            two: {<<: [*base, *more], d: *base}
            """
        var json = ""
        try Array(text.utf8).withUnsafeBufferPointer { bytes in
            try YAMLConverter.forEachDocument(of: bytes) { text, _ in json = String(decoding: text, as: UTF8.self) }
        }
        #expect(
            json
                == #"{"base":{"a":1,"b":["x"]},"more":{"c":3,"a":9},"one":{"a":2,"b":["x"]},"#
                + #""two":{"d":{"a":1,"b":["x"]},"a":1,"b":["x"],"c":3}}"#
        )
    }
}
