import Testing

@testable import JSON

@Suite struct YAMLTextTests {
    @Test(
        arguments: [
            (#"{"a":{"b":[],"c":{}},"d":["x","y: z"]}"#, "a:\n  b: []\n  c: {}\nd: [\"x\",\"y: z\"]\n"),
            (#"[{"a":1,"b":[{"c":null}]},[{"d":true}],2]"#, "- a: 1\n  b:\n  - c: null\n- - d: true\n- 2\n"),
            (#""yes""#, "\"yes\"\n"), ("{}", "{}\n"), ("[]", "[]\n"),
        ]
    )
    func values(_ json: String, _ yaml: String) throws {
        #expect(try JSONValue(parsing: Array(json.utf8).span).yaml == yaml)
    }
}
