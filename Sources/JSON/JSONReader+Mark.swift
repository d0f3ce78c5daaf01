// For values that may turn out to be others than was wanted: go back and step over them, and say where the fault is.
extension JSONReader {
    /// A place to go back to, in the text of the same reader.
    public struct Mark: Sendable {
        fileprivate let position: Int
        fileprivate let depth: Int
    }

    /// A member's name, or the index of an element.
    public enum Step: Hashable, Sendable {
        case key(String)
        case index(Int)
    }

    /// The place before the next value.
    public mutating func mark() -> Mark {
        _ = next()
        return Mark(position: position, depth: depth)
    }

    public mutating func rewind(to mark: Mark) {
        position = mark.position
        depth = mark.depth
    }

    /// Where a mark is, counted in bytes from 0.
    public func offset(of mark: Mark) -> Int { mark.position }

    /// What is at an offset of a text that a failure names, as far as its byte tells: `a number`, `a string`, …
    public static func noun(at offset: Int, in text: Span<UInt8>) -> String? {
        guard text.indices.contains(offset) else { return nil }
        return switch text[offset] {
        case UInt8(ascii: "n"): "null"
        case UInt8(ascii: "t"), UInt8(ascii: "f"): "true or false"
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): "a number"
        case UInt8(ascii: "\""): "a string"
        case UInt8(ascii: "["): "a list"
        case UInt8(ascii: "{"): "an object"
        default: nil
        }
    }

    /// The way from the root of a text to the value at an offset, or behind which the offset is. It reads the text
    /// again, so it is for failures only.
    public static func path(to offset: Int, in text: Span<UInt8>) -> [Step] {
        var path: [Step] = []
        do {
            try read(text) { (reader) throws(Failure) in try reader.descend(to: offset, &path) }
        } catch {
            // Either the value was reached, or the text ends in a mistake: the path leads there.
        }
        return path
    }

    private mutating func descend(to offset: Int, _ path: inout [Step]) throws(Failure) {
        _ = next()
        guard position < offset else { throw failure("here") }
        switch try kind() {
        case .object:
            try object { (name, reader) throws(Failure) in
                path.append(.key(name))
                try reader.descend(to: offset, &path)
                path.removeLast()
            }
        case .array:
            var index = 0
            try array { (reader) throws(Failure) in
                path.append(.index(index))
                try reader.descend(to: offset, &path)
                path.removeLast()
                index += 1
            }
        default:
            try skip()
            guard position < offset else { throw failure("here") }
        }
    }
}
