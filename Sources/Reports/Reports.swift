// Reports: what `swiftletctl` prints, as text: tables in the shape of calicoctl (`reference/calico.md` 7.2) and JSON.
// Functions of values; what the values are is for IPAM to find out, and where the text goes for the program to decide.

import FoundationEssentials

/// Text of a value as JSON: sorted keys, so that the same value always gives the same text, and a newline at the end.
func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
}
