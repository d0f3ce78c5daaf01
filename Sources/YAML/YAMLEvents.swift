internal import CYAML

/// The events of a YAML stream, as libyaml reads them.
///
/// No tree is built, and no alias expanded, so that a small file cannot ask for any amount of memory: libyaml limits
/// nesting, and whoever reads the events limits the rest.
public final class YAMLEvents {
    public struct Event {
        public let kind: Kind
        /// Counted from 1.
        public let line: Int
    }

    public enum Kind {
        case documentStart
        case documentEnd
        case streamEnd
        case mappingStart(anchor: String?)
        case mappingEnd
        case sequenceStart(anchor: String?)
        case sequenceEnd
        case scalar(Scalar)
        case alias(String)
        /// Start of the stream, and nothing to act on.
        case other
    }

    public struct Scalar {
        public let text: String
        /// Whether the text was written without quotes and is no block, so that its look tells its type.
        let isPlain: Bool
        let tag: String?
        let anchor: String?
    }

    // The parser points into itself, so it must not move.
    private let parser: UnsafeMutablePointer<yaml_parser_t>

    /// - Parameter bytes: must outlive the events.
    public init(_ bytes: UnsafeBufferPointer<UInt8>) {
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        // libyaml looks for a byte order mark only when it has to find out the encoding.
        let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? UnsafeBufferPointer(rebasing: bytes[3...]) : bytes
        yaml_parser_set_input_string(parser, text.baseAddress, text.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deinitialize(count: 1)
        parser.deallocate()
    }

    public func next() throws(YAMLError) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw failure }
        defer { yaml_event_delete(&event) }
        return Event(kind: Self.kind(of: event), line: event.start_mark.line + 1)
    }

    private static func kind(of event: yaml_event_t) -> Kind {
        switch event.type {
        case YAML_DOCUMENT_START_EVENT: return .documentStart
        case YAML_DOCUMENT_END_EVENT: return .documentEnd
        // libyaml produces empty events once the stream has ended.
        case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return .streamEnd
        case YAML_MAPPING_START_EVENT: return .mappingStart(anchor: text(event.data.mapping_start.anchor))
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        case YAML_SEQUENCE_START_EVENT: return .sequenceStart(anchor: text(event.data.sequence_start.anchor))
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_ALIAS_EVENT: return .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return .scalar(
                Scalar(
                    text: String(decoding: bytes, as: UTF8.self),
                    isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE,
                    tag: text(scalar.tag),
                    anchor: text(scalar.anchor)
                )
            )
        default: return .other
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private var failure: YAMLError {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "cannot be read"
        let context = parser.pointee.context.map { "\(String(cString: $0)): " } ?? ""
        let line = parser.pointee.error == YAML_READER_ERROR ? nil : parser.pointee.problem_mark.line + 1
        return YAMLError(line: line, reason: "not valid YAML: \(context)\(problem)")
    }
}
