import Foundation
import JSON
import TestSupport

/// Makes inputs that nobody should send out of those that somebody might: values of wrong kinds and sizes in a tree that
/// stays JSON, or text that is none. The same seed gives the same inputs.
struct HostileGenerator {
    var random: SeededGenerator

    /// `SWIFTLET_FUZZ_SEED`, so that a run can be repeated, or another one be made.
    static let seed = number("SWIFTLET_FUZZ_SEED", 20_261_120)

    /// How many inputs, by a variable of the environment with which millions can be run by hand.
    static func number(_ variable: String, _ usual: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[variable].flatMap(UInt64.init) ?? usual
    }

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    static let words: [String] = [
        "", " ", "0", "-1", "1e400", "true", "null", "..", "../x", "/", "a/b", "a:b", "\u{0}", "\u{ff}", "é\u{301}",
        "🙂",
        "10.80.0.1", "10.80.0.1/32", "10.80.0.0/33", "::", "::/129", "fd80::/120", "fe80::1%eth0", "0.0.0.0/0",
        "0a:58:00:00:00:01", "ff:ff:ff:ff:ff:ff", "0.1.0", "1.1.0", "9.9.9", "eth0", "swiftlet-ipam", "IPv4", "IPv6",
        #"["10.80.0.9"]"#, #"["IPv4"]"#, #"{"a":"#, "[[[[", "2026-11-20T08:14:03Z", "node-1", "strict", "pending",
        String(repeating: "a", count: 300), String(repeating: "9", count: 40), "18446744073709551616", "%s%n", "$(id)",
        "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b", "IP=::", "IgnoreUnknown=1", "x=y=z", ";;",
    ]

    private static let leaves: [JSONValue] =
        [
            .null, true, false, 0, -1, 1, 68, 65_536, .number("1.5"), .number("1e999"), .number("18446744073709551616"),
            .array([]), [.null], [[[]]], .object(JSONObject()), [:],
        ] + words.map { .string($0) }

    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    mutating func word() -> String { Self.words.randomElement(using: &random) ?? "" }

    /// The value with some of it replaced, repeated or missing.
    mutating func changed(_ value: JSONValue, one part: Int = 12) -> JSONValue {
        if chance(part) { return Self.leaves.randomElement(using: &random) ?? .null }
        switch value {
        case .object(let object):
            var members: [(String, JSONValue)] = []
            for member in object.members where !chance(part * 2) {
                members.append((chance(part * 4) ? word() : member.key, changed(member.value, one: part)))
                if chance(part * 6) { members.append((member.key, changed(member.value, one: 2))) }
            }
            return .object(JSONObject(members))
        case .array(let elements):
            var changed: [JSONValue] = []
            for element in elements {
                changed.append(self.changed(element, one: part))
                if chance(part * 2) { changed.append(element) }
            }
            return .array(changed)
        case .string(let text) where chance(part):
            return .string(String(decoding: self.changed(Array(text.utf8)), as: UTF8.self))
        default: return value
        }
    }

    /// The text with bytes changed, cut out, repeated or put in.
    mutating func changed(_ text: [UInt8]) -> [UInt8] {
        var text = text
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let at = Int.random(in: 0...text.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0 where at < text.count: text[at] = UInt8.random(in: 0...255, using: &random)
            case 1 where at < text.count: text.remove(at: at)
            case 2: text.insert(contentsOf: Array(word().utf8), at: at)
            case 3 where chance(8): text.removeSubrange(at...)
            default:
                let end = min(text.count, at + Int.random(in: 0..<40, using: &random))
                text.insert(contentsOf: text[at..<end], at: at)
            }
        }
        return text
    }

    static func parse(_ text: String) -> JSONValue { (try? JSONValue(parsing: Array(text.utf8).span)) ?? .null }
}
