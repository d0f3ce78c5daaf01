/// Writes JSON text value by value, so that a record always comes out in the same order.
///
/// The text has no spaces, or, with an indentation, one member or element on each line. That names and values alternate
/// inside an object is up to the caller.
public struct JSONWriter {
    /// The text so far.
    public private(set) var bytes: [UInt8] = []
    /// The spaces for each level; `nil` for text on one line.
    private let indentation: Int?
    private var level = 0
    private var place = Place.start

    /// What was written last.
    private enum Place { case start, name, value }

    public init(indentation: Int? = nil) {
        self.indentation = indentation
    }

    public mutating func name(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        if indentation != nil { bytes.append(UInt8(ascii: " ")) }
        place = .name
    }

    public mutating func object(_ members: (inout JSONWriter) -> Void) {
        open(UInt8(ascii: "{"))
        members(&self)
        close(UInt8(ascii: "}"))
    }

    @inlinable
    public mutating func array<Element>(
        _ elements: some Sequence<Element>,
        _ element: (inout JSONWriter, Element) -> Void
    ) {
        open(UInt8(ascii: "["))
        for value in elements { element(&self, value) }
        close(UInt8(ascii: "]"))
    }

    public mutating func null() { word("null") }

    public mutating func boolean(_ value: Bool) { word(value ? "true" : "false") }

    @inlinable
    public mutating func integer(_ value: some FixedWidthInteger) { word(String(value)) }

    /// A number by its text, which must be one of JSON.
    public mutating func number(_ digits: String) { word(digits) }

    public mutating func string(_ value: String) {
        begin()
        Self.append(value, to: &bytes)
    }

    /// Appends a string with its quotation marks and escapes, for those who put text together in other ways.
    public static func append(_ string: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
            case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7f:
                bytes.append(contentsOf: "\\u00\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16))".utf8)
            default:
                bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    @usableFromInline
    mutating func word(_ text: String) {
        begin()
        bytes.append(contentsOf: text.utf8)
    }

    /// Writes what stands before a name or a value.
    private mutating func begin() {
        if place != .name {
            if place == .value { bytes.append(UInt8(ascii: ",")) }
            if level > 0 { newLine() }
        }
        place = .value
    }

    private mutating func newLine() {
        guard let indentation else { return }
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indentation * level))
    }

    @usableFromInline
    mutating func open(_ bracket: UInt8) {
        begin()
        bytes.append(bracket)
        level += 1
        place = .start
    }

    @usableFromInline
    mutating func close(_ bracket: UInt8) {
        level -= 1
        if place != .start { newLine() }
        bytes.append(bracket)
        place = .value
    }
}
