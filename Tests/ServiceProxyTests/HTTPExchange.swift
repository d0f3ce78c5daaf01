import Netlink
import NetworkTypes
import TestSupport

/// An answer over HTTP, taken apart.
struct HTTPAnswer: CustomStringConvertible {
    let text: String

    var code: Int { Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0 }

    var body: String {
        text.firstRange(of: "\r\n\r\n").map { String(text[$0.upperBound...]) } ?? ""
    }

    /// The value of a header.
    func header(_ name: String) -> String? {
        text.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }.map {
            String($0.dropFirst(name.count + 2))
        }
    }

    var description: String { text }

    /// Asks from inside of a network namespace.
    static func of(
        _ path: String,
        method: String = "GET",
        headers: [String] = [],
        body: String = "",
        from namespace: NetworkNamespace,
        _ address: String = "127.0.0.1",
        port: UInt16
    ) throws -> HTTPAnswer {
        let address = IPAddress(address)!
        let own: IPAddress = address.family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified)
        let socket = try TestSocket(.tcp, in: namespace, bound: own)
        try socket.connect(to: address, port: port)
        let head =
            ["\(method) \(path) HTTP/1.1", "Host: node", "Connection: close", "Content-Length: \(body.utf8.count)"]
            + headers
        try socket.send(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
        var text = ""
        while case let part = try socket.receive(), !part.isEmpty { text += part }
        return HTTPAnswer(text: text)
    }
}
