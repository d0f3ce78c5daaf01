import Testing

@testable import JSON

@Suite struct YAMLTextTests {
    @Test(
        arguments: [
            (#"{"a":{"b":[],"c":{}},"d":["x","y: z"]}"#, "a:\n  b: []\n  c: {}\nd:\n- x\n- \"y: z\"\n"),
            (#"[{"a":1,"b":[{"c":null}]},[{"d":true}],2]"#, "- a: 1\n  b:\n  - c: null\n- - d: true\n- 2\n"),
            (#""yes""#, "\"yes\"\n"), ("{}", "{}\n"), ("[]", "[]\n"),
        ]
    )
    func values(_ json: String, _ yaml: String) throws {
        #expect(try JSONValue(parsing: Array(json.utf8).span).yaml == yaml)
    }

    /// Quotes stand where a string could be taken for something else.
    @Test(
        arguments: [
            ("projectcalico.org/v3", true), ("10.80.0.0/16", true), ("fd00:80::/48", true), ("host:worker-2", true),
            ("all()", true), ("/etc/x.yaml", true), ("no", false), ("Null", false), ("1.5", false), ("10", false),
            ("2026-11-30", false), ("fd00::", false), ("a: b", false), ("zone == \"edge\"", false), ("", false),
            ("-", false), ("~", false), ("1:20", false), (".5", false), ("a #b", false), ("über", false),
        ] as [(String, Bool)]
    )
    func quotes(_ text: String, _ isPlain: Bool) {
        #expect((JSONValue.string(text).yaml == text + "\n") == isPlain)
        #expect(JSONValue.object(JSONObject([(text, 1)])).yaml.hasPrefix("\"") == !isPlain)
    }
}
