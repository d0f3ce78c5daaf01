import AsyncHTTPClient
import NetworkTypes

/// Where a server is: `https://10.0.0.1:6443/prefix` in parts.
public struct ServerAddress: Hashable, Sendable {
    public let isTLS: Bool
    /// A name or an IP address; IPv6 without brackets.
    public let host: String
    public let port: Int
    /// Goes before the target of every request; empty, or starts with `/` and does not end with one.
    public let pathPrefix: String

    /// Reads a URL. Without a scheme it is `defaultScheme`; without a port, that of the scheme.
    ///
    /// - Returns: `nil` when the text is no address of a server: another scheme, no host, a user name, a query.
    public init?(_ text: String, defaultScheme: String = "https") {
        var rest = text[...]
        let scheme: String
        if let range = text.range(of: "://") {
            scheme = text[..<range.lowerBound].lowercased()
            rest = text[range.upperBound...]
        } else {
            scheme = defaultScheme
        }
        guard scheme == "https" || scheme == "http", !rest.contains(where: { "?#@ ".contains($0) }) else { return nil }
        isTLS = scheme == "https"
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        pathPrefix = String(path)
        let authority = rest[..<slash]
        let portText: Substring?
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<bracket])
            guard IPv6Address(host) != nil else { return nil }
            let after = authority[authority.index(after: bracket)...]
            guard after.isEmpty || after.hasPrefix(":") else { return nil }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = String(parts[0])
            portText = parts.count > 1 ? parts[1] : nil
            guard !host.isEmpty else { return nil }
        }
        if let portText {
            guard let number = UInt16(portText), number > 0 else { return nil }
            port = Int(number)
        } else {
            port = isTLS ? 443 : 80
        }
    }

    /// `host:port`, as in a Host header.
    var authority: String { "\(bracketed(host)):\(port)" }

    func url(_ target: String, verifying name: String?) -> String {
        "\(isTLS ? "https" : "http")://\(bracketed(isTLS ? name ?? host : host)):\(port)\(pathPrefix)\(target)"
    }

    private func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}

extension ServerAddress: CustomStringConvertible {
    public var description: String { "\(isTLS ? "https" : "http")://\(authority)\(pathPrefix)" }
}

extension String {
    /// `range(of:)` without Foundation.
    fileprivate func range(of separator: String) -> Range<String.Index>? {
        ranges(of: separator).first
    }
}

/// A proxy in front of a server: `http://…` (CONNECT) or `socks5://…`.
public struct ProxyAddress: Hashable, Sendable {
    let kind: Kind
    let host: String
    let port: Int
    /// `user:password` for an HTTP proxy.
    let credentials: String?

    enum Kind: Hashable, Sendable { case http, socks5 }

    /// - Returns: `nil` when the text is no proxy that can be used.
    public init?(_ text: String) {
        guard let separator = text.ranges(of: "://").first else { return nil }
        switch text[..<separator.lowerBound].lowercased() {
        case "http": kind = .http
        case "socks5", "socks5h": kind = .socks5
        default: return nil
        }
        var rest = text[separator.upperBound...]
        if let at = rest.lastIndex(of: "@") {
            guard kind == .http else { return nil }
            credentials = String(rest[..<at])
            rest = rest[rest.index(after: at)...]
        } else {
            credentials = nil
        }
        let hasPort = rest.drop { $0 != ":" }.isEmpty == false || rest.contains("]:")
        guard let address = ServerAddress("http://" + rest), address.pathPrefix.isEmpty else { return nil }
        host = address.host
        port = hasPort ? address.port : kind == .socks5 ? 1080 : 80
    }

    var proxy: HTTPClient.Configuration.Proxy {
        switch kind {
        case .socks5: return .socksServer(host: host, port: port)
        case .http:
            guard let credentials else { return .server(host: host, port: port) }
            let parts = credentials.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return .server(
                host: host,
                port: port,
                authorization: .basic(username: String(parts[0]), password: parts.count > 1 ? String(parts[1]) : "")
            )
        }
    }
}

extension ProxyAddress: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["": description]) }

    /// Without credentials.
    public var description: String { "\(kind == .http ? "http" : "socks5")://\(host):\(port)" }
}
