import FoundationEssentials
import Glibc
import NIOHTTP1

/// The head of a response, as bytes.
///
/// It is written by hand, as faults need the say over every byte.
struct ResponseHead {
    var status = 200
    var contentType: String
    var headers: [(String, String)] = []
    var cacheControl = "no-cache, private"
    /// `nil` for a body in chunks.
    var contentLength: Int?
    var isKeepAlive: Bool
    /// HTTP/1.0 knows no chunks; the end of the connection is the end of the body.
    var isHTTP10: Bool

    var bytes: [UInt8] {
        var text = "HTTP/1.\(isHTTP10 ? 0 : 1) \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\n"
        text += "Audit-Id: \(UUID().uuidString.lowercased())\r\n"
        text += "Cache-Control: \(cacheControl)\r\nContent-Type: \(contentType)\r\n"
        for header in headers { text += "\(header.0): \(header.1)\r\n" }
        if status != 401 {
            text += "X-Kubernetes-Pf-Flowschema-Uid: 00000000-0000-4000-8000-000000000001\r\n"
            text += "X-Kubernetes-Pf-Prioritylevel-Uid: 00000000-0000-4000-8000-000000000002\r\n"
        }
        text += "Date: \(Self.date)\r\n"
        if let contentLength { text += "Content-Length: \(contentLength)\r\n" }
        if !isKeepAlive, !isHTTP10 { text += "Connection: close\r\n" }
        if contentLength == nil, !isHTTP10 { text += "Transfer-Encoding: chunked\r\n" }
        return Array((text + "\r\n").utf8)
    }

    private static var date: String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) "
            + "\(parts.tm_year + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}
