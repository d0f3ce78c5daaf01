import Logging
import NIOHTTP1
import Synchronization

/// The warnings that a server adds to its responses (RFC 7234, `299 - "…"`), each logged once.
final class Warnings: Sendable {
    private let seen = Mutex<Set<String>>([])
    /// What a server says is bounded, whatever it says.
    private static let limit = 256

    func log(_ headers: HTTPHeaders, _ request: ResourceRequest, _ logger: Logger) {
        guard headers.contains(name: "Warning") else { return }
        for header in headers["Warning"] {
            for text in Self.texts(header) {
                let isNew = seen.withLock { seen in seen.count < Self.limit && seen.insert(text).inserted }
                if isNew {
                    logger.warning("the API server warns: \(text)", metadata: ["request": "\(request.summary)"])
                }
            }
        }
    }

    /// The texts of the warnings of code 299 in one header.
    static func texts(_ header: String) -> [String] {
        var texts: [String] = []
        var rest = header[...]
        while let start = rest.firstIndex(where: { $0 != " " && $0 != "," }) {
            rest = rest[start...]
            guard let quote = rest.firstIndex(of: "\"") else { break }
            let code = rest[..<quote].prefix { $0 != " " }
            rest = rest[rest.index(after: quote)...]
            var text = ""
            var isEscaped = false
            var isClosed = false
            while let character = rest.popFirst() {
                if isEscaped {
                    text.append(character)
                    isEscaped = false
                } else if character == "\\" {
                    isEscaped = true
                } else if character == "\"" {
                    isClosed = true
                    break
                } else {
                    text.append(character)
                }
            }
            guard isClosed else { break }
            // An agent's date may follow; it is of no use.
            if let next = rest.firstIndex(of: ",") { rest = rest[next...] } else { rest = "" }
            if code == "299", !text.isEmpty { texts.append(String(text.prefix(512))) }
        }
        return texts
    }
}
