import Testing

@testable import IPAM

@Suite struct SelectorTests {
    static let labels = [
        "zone": "a", "kubernetes.io/hostname": "node-1", "role": "edge-router", "empty": "", "in": "x",
    ]

    @Test(arguments: [
        ("", true), ("  ", true), ("all()", true), ("all( )", true), ("global()", true), ("!all()", false),
        ("zone == \"a\"", true), ("zone == 'a'", true), ("zone==\"b\"", false), ("zone != \"b\"", true),
        ("zone != \"a\"", false), ("missing == \"\"", false), ("empty == \"\"", true), ("missing != \"a\"", true),
        ("has(zone)", true), ("has(missing)", false), ("!has(missing)", true), ("! has( zone )", false),
        ("!!has(zone)", true),
        ("zone in {\"a\", \"b\"}", true), ("zone in { 'b' , 'c' }", false), ("zone in {}", false),
        ("zone not in {\"a\"}", false), ("zone not in {\"b\"}", true), ("missing not in {\"b\"}", true),
        ("missing in {\"b\"}", false), ("role contains \"ge-ro\"", true), ("role contains \"x\"", false),
        ("role contains \"\"", true), ("missing contains \"\"", false), ("role starts with \"edge\"", true),
        ("role starts with \"router\"", false), ("role ends with \"router\"", true), ("role ends with \"edge\"", false),
        // Calico's words need no space between them.
        ("role startswith \"edge\"", true), ("role endswith \"edge\"", false), ("zone notin {\"b\"}", true),
        ("kubernetes.io/hostname == \"node-1\"", true), ("in == \"x\"", true),
        ("zone == \"a\" && role == \"x\"", false), ("zone == \"a\" || role == \"x\"", true),
        // && binds tighter than ||, ! tighter than both.
        ("has(zone) || has(x) && has(y)", true), ("(has(zone) || has(x)) && has(y)", false),
        ("!has(zone) || has(role)", true), ("!(has(zone) || has(role))", false),
        ("zone == \"a\"&&!has(x)&&(role in{\"edge-router\"})", true), ("zone == \"it's\"", false),
    ])
    func selectors(_ text: String, _ expected: Bool) throws {
        #expect(try Selector(text).matches(Self.labels) == expected)
    }

    @Test(arguments: [
        "zone", "zone =", "zone = \"a\"", "zone == a", "zone == \"a", "zone == 'a\"", "== \"a\"", "has()", "has(zone",
        "has zone", "all(", "all)", "(all()", "all() all()", "all() &&", "&& all()", "all() & all()", "zone in \"a\"",
        "zone in {\"a\"", "zone in {\"a\",}", "zone in {a}", "zone not {\"a\"}", "zone starts \"a\"", "zone like \"a\"",
        "!", "()", "zone == \"a\" || ", "\u{0}", "é == \"a\"",
    ])
    func brokenSelectorsAreErrors(_ text: String) {
        #expect(throws: SelectorError.self) { try Selector(text) }
    }

    @Test func anErrorSaysWhere() {
        let error = #expect(throws: SelectorError.self) { try Selector("zone == \"a\" && role == b") }
        #expect(error?.description == "selector \"zone == \"a\" && role == b\": expected a value in quotes at byte 23")
    }

    @Test func deepNestingIsRefused() {
        let depth = 100_000
        let text = String(repeating: "(", count: depth) + "all()" + String(repeating: ")", count: depth)
        #expect(throws: SelectorError.self) { try Selector(text) }
        #expect(throws: Never.self) { try Selector(String(repeating: "!", count: depth) + "all()") }
    }
}
