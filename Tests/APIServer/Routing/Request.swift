import NIOHTTP1

/// A request, taken apart.
struct Request: Sendable {
    let method: String
    let path: String
    let query: [String: String]
    let headers: HTTPHeaders
    let body: [UInt8]
    let user: User

    var accept: String { headers["accept"].joined(separator: ",") }

    /// Without parameters.
    var contentType: String {
        headers.first(name: "content-type").map { String($0.prefix { $0 != ";" }) } ?? ""
    }

    func flag(_ name: String) -> Bool { ["1", "true"].contains(query[name] ?? "") }

    /// The parts of a request target; `nil` when it is malformed.
    static func split(_ target: String) -> (path: String, query: [String: String])? {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = decoded(parts[0], plusIsSpace: false), path.hasPrefix("/") else { return nil }
        var query: [String: String] = [:]
        for pair in parts.count == 2 ? parts[1].split(separator: "&") : [] {
            let pair = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(pair[0], plusIsSpace: true),
                let value = decoded(pair.count == 2 ? pair[1] : "", plusIsSpace: true)
            else { return nil }
            // Of a parameter that is repeated the first one counts.
            if query[name] == nil { query[name] = value }
        }
        return (path, query)
    }

    private static func decoded(_ text: Substring, plusIsSpace: Bool) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard rest.count >= 2, let value = UInt8(Substring(rest.prefix(2)), radix: 16) else { return nil }
                bytes.append(value)
                rest.removeFirst(2)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// What a path leads to.
struct ResourcePath: Hashable, Sendable {
    var group: String
    var version: String
    var namespace: String?
    var plural: String
    var name: String?
    var subresource: String?
    /// Of the deprecated `/watch/` paths.
    var isWatch = false

    /// `nil` for paths that are no resource's.
    init?(_ path: String) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        if parts.last == "" { parts.removeLast() }
        switch parts.first {
        case "api" where parts.count > 2:
            (group, version) = ("", parts[1])
            parts.removeFirst(2)
        case "apis" where parts.count > 3:
            (group, version) = (parts[1], parts[2])
            parts.removeFirst(3)
        default: return nil
        }
        if parts.first == "watch", parts.count > 1 {
            isWatch = true
            parts.removeFirst()
        }
        if parts.first == "namespaces", parts.count > 2, !["status", "finalize"].contains(parts[2]) {
            namespace = parts[1]
            parts.removeFirst(2)
        }
        guard let plural = parts.first, parts.allSatisfy({ !$0.isEmpty }), parts.count <= 3 else { return nil }
        self.plural = plural
        name = parts.count > 1 ? parts[1] : nil
        subresource = parts.count > 2 ? parts[2] : nil
    }
}
