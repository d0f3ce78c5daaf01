/// A response, taken apart.
struct HTTPResponse {
    var status: Int
    /// By lower-case name.
    var headers: [String: String]
    var body: [UInt8]
    /// Whether the body is complete by its Content-Length or its last chunk.
    var isComplete: Bool

    var text: String { String(decoding: body, as: UTF8.self) }

    /// - Parameter bytes: all that came until the connection ended.
    init?(_ bytes: [UInt8]) {
        let end = Array("\r\n\r\n".utf8)
        guard let split = bytes.firstRange(of: end) else { return nil }
        let lines = String(decoding: bytes[..<split.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, let status = Int(words[1]) else { return nil }
        self.status = status
        headers = Dictionary(
            lines.dropFirst().compactMap { line in
                guard let colon = line.firstIndex(of: ":") else { return nil }
                return (line[..<colon].lowercased(), String(line[line.index(colon, offsetBy: 2)...]))
            },
            uniquingKeysWith: { "\($0), \($1)" }
        )
        let rest = Array(bytes[split.upperBound...])
        if headers["transfer-encoding"] == "chunked" {
            (body, isComplete) = Self.dechunked(rest)
        } else if let length = headers["content-length"].flatMap({ Int($0) }) {
            (body, isComplete) = (Array(rest.prefix(length)), rest.count >= length)
        } else {
            (body, isComplete) = (rest, true)
        }
    }

    private static func dechunked(_ bytes: [UInt8]) -> ([UInt8], Bool) {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstRange(of: Array("\r\n".utf8)),
            let length = Int(String(decoding: rest[..<end.lowerBound], as: UTF8.self), radix: 16)
        {
            if length == 0 { return (body, true) }
            rest = rest[end.upperBound...]
            body += rest.prefix(length)
            rest = rest.dropFirst(length + 2)
        }
        return (body, false)
    }
}
