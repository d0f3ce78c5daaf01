import KubernetesAPI
import YAML

/// Follows the events of one document, and remembers where it met the longest part of a path.
struct YAMLPathLocator {
    private struct Frame {
        let isMapping: Bool
        /// Whether everything up to here is a beginning of the path.
        let isOnPath: Bool
        var index = -1
        var key: String?
        var keyLine = 0
    }

    private let path: [FieldError.Component]
    private var frames: [Frame] = []
    private var matched = -1
    private(set) var line: Int?

    init(_ path: [FieldError.Component]) {
        self.path = path
    }

    mutating func take(_ event: YAMLEvents.Event) {
        switch event.kind {
        case .scalar(let scalar):
            if let top = frames.indices.last, frames[top].isMapping, frames[top].key == nil {
                frames[top].key = scalar.text
                frames[top].keyLine = event.line
            } else {
                _ = enter(event.line)
                leave()
            }
        case .alias:
            _ = enter(event.line)
            leave()
        case .mappingStart: open(isMapping: true, event.line)
        case .sequenceStart: open(isMapping: false, event.line)
        case .mappingEnd, .sequenceEnd:
            frames.removeLast()
            leave()
        case .documentStart, .documentEnd, .streamEnd, .other: break
        }
    }

    private mutating func open(isMapping: Bool, _ line: Int) {
        let isOnPath = enter(line)
        frames.append(Frame(isMapping: isMapping, isOnPath: isOnPath))
    }

    /// Notes a value at the current place, and says whether this place is on the path.
    private mutating func enter(_ line: Int) -> Bool {
        guard let top = frames.indices.last else {
            if matched < 0 { (matched, self.line) = (0, line) }
            return true
        }
        frames[top].index += 1
        let frame = frames[top]
        let depth = frames.count
        guard frame.isOnPath, depth <= path.count else { return false }
        let isNext =
            switch path[depth - 1] {
            case .key(let key): frame.key == key
            case .index(let index): !frame.isMapping && frame.index == index
            }
        if isNext, matched < depth { (matched, self.line) = (depth, frame.isMapping ? frame.keyLine : line) }
        return isNext
    }

    private mutating func leave() {
        if let top = frames.indices.last { frames[top].key = nil }
    }
}

extension YAMLPathLocator {
    /// The line of the field that a path leads to in one document, or of the last step of the path that exists.
    static func line(of path: [FieldError.Component], inDocument document: Int, of bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            let events = YAMLEvents(bytes)
            var locator = YAMLPathLocator(path)
            var remaining = document
            while let event = try? events.next() {
                switch event.kind {
                case .streamEnd: return nil
                case .documentEnd where remaining == 0: return locator.line
                case .documentEnd: remaining -= 1
                case .other, .documentStart: continue
                default: if remaining == 0 { locator.take(event) }
                }
            }
            return locator.line
        }
    }
}
