import NIOCore
import NIOHTTP1
import ServerTransport

/// A request about an object or a collection of objects.
public struct ResourceRequest: Sendable {
    public var method: HTTPMethod
    public var resource: APIResource
    /// `nil` for all namespaces, and for kinds that have none.
    public var namespace: String?
    /// `nil` for a collection.
    public var name: String?
    /// `status`, `eviction`, …
    public var subresource: String?
    /// Names and values as they are meant; they are percent-encoded on their way.
    public var query: [(String, String)]
    public var accept: String
    public var contentType: String?
    public var body: ByteBuffer?
    /// For all tries together, until the whole response is there; for a stream, until its head is there.
    public var timeout: Duration
    /// The most bytes that the body of a response may have; it does not bind a stream.
    public var bodyLimit: Int

    public static let json = "application/json"

    public init(
        _ method: HTTPMethod,
        _ resource: APIResource,
        namespace: String? = nil,
        name: String? = nil,
        subresource: String? = nil,
        query: [(String, String)] = [],
        accept: String = ResourceRequest.json,
        contentType: String? = nil,
        body: ByteBuffer? = nil,
        timeout: Duration = ServerTransport.requestTimeout,
        bodyLimit: Int = 64 << 20
    ) {
        self.method = method
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
        self.query = query
        self.accept = accept
        self.contentType = contentType
        self.body = body
        self.timeout = timeout
        self.bodyLimit = bodyLimit
    }

    /// Path and query, percent-encoded.
    var target: String {
        var target = resource.root
        if let namespace, !namespace.isEmpty { target += "/namespaces/\(namespace.percentEncoded)" }
        target += "/\(resource.plural.percentEncoded)"
        if let name { target += "/\(name.percentEncoded)" }
        if let subresource {
            target += "/" + subresource.split(separator: "/").map { String($0).percentEncoded }.joined(separator: "/")
        }
        for (index, (name, value)) in query.enumerated() {
            target += "\(index == 0 ? "?" : "&")\(name.percentEncoded)=\(value.percentEncoded)"
        }
        return target
    }

    /// As RBAC calls what is asked.
    var verb: String {
        switch method {
        case .POST: "create"
        case .PUT: "update"
        case .PATCH: "patch"
        case .DELETE: name == nil ? "deletecollection" : "delete"
        default: name != nil ? "get" : isWatch ? "watch" : "list"
        }
    }

    var isWatch: Bool { query.contains { $0.0 == "watch" && ($0.1 == "1" || $0.1 == "true") } }

    /// What is asked, for a person: `patch pods/status "default/web"`.
    var summary: String {
        var text = "\(verb) \(resource)"
        if let subresource { text += "/\(subresource)" }
        switch (namespace, name) {
        case (let namespace?, let name?) where !namespace.isEmpty: text += " \"\(namespace)/\(name)\""
        case (_, let name?): text += " \"\(name)\""
        case (let namespace?, nil) where !namespace.isEmpty: text += " in namespace \"\(namespace)\""
        default: break
        }
        return text
    }
}

extension String {
    /// With everything but RFC 3986's unreserved characters percent-encoded.
    var percentEncoded: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(utf8.count)
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        // A name of dots alone would be taken for a way through directories.
        if bytes == Array(".".utf8) || bytes == Array("..".utf8) { return bytes.map { _ in "%2E" }.joined() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
