import FoundationEssentials

/// Writes JSON text member by member, so that a record always comes out in the same order and without spaces.
struct JSONWriter {
    private var bytes: [UInt8] = []
    private var needsComma = false

    /// The text of one object.
    static func object(_ members: (inout JSONWriter) -> Void) -> Data {
        var writer = JSONWriter()
        writer.object(members)
        return Data(writer.bytes)
    }

    mutating func name(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    mutating func object(_ members: (inout JSONWriter) -> Void) {
        open(UInt8(ascii: "{"))
        members(&self)
        close(UInt8(ascii: "}"))
    }

    mutating func array<Element>(_ elements: some Sequence<Element>, _ element: (inout JSONWriter, Element) -> Void) {
        open(UInt8(ascii: "["))
        for value in elements { element(&self, value) }
        close(UInt8(ascii: "]"))
    }

    /// The members in the order of their names.
    mutating func map(_ values: [String: String]) {
        object { writer in
            for (name, value) in values.sorted(by: { $0.key < $1.key }) {
                writer.name(name)
                writer.string(value)
            }
        }
    }

    mutating func null() { word("null") }

    mutating func boolean(_ value: Bool) { word(value ? "true" : "false") }

    mutating func integer(_ value: some FixedWidthInteger) { word(String(value)) }

    mutating func string(_ value: String) {
        comma()
        bytes.append(UInt8(ascii: "\""))
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                bytes.append(contentsOf: "\\u00\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16))".utf8)
            default:
                bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    private mutating func word(_ text: String) {
        comma()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        comma()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func comma() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }
}
