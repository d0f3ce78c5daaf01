import FoundationEssentials
import Glibc
import ProxyAPI

/// The local socket of a swiftlet-proxy: one request at a time, each over a connection of its own.
struct ProxySocket {
    let path: String

    /// How long the proxy may be silent.
    private static let patience = 30
    /// Far more than any answer has.
    private static let largestAnswer = 256 << 20

    /// - Throws: ``Failure``
    func get<Answer: Decodable>(_ answer: Answer.Type, _ path: String, _ query: ProxyQuery) throws -> Answer {
        let (code, body) = try exchange("\(path)?\(query.text)")
        guard code == 200 else {
            let message = (try? JSONDecoder().decode(ProxyAPI.Problem.self, from: body))?.message
            throw Failure(status: .error, message: message ?? "swiftlet-proxy answers with status \(code)")
        }
        do {
            return try JSONDecoder().decode(Answer.self, from: body)
        } catch {
            throw Failure(
                status: .error,
                message: "the answer of swiftlet-proxy cannot be read; is it of another version? (\(error))"
            )
        }
    }

    private func exchange(_ target: String) throws -> (code: Int, body: Data) {
        let descriptor = try connected()
        defer { close(descriptor) }
        let request = Array("GET \(target) HTTP/1.1\r\nHost: swiftlet-proxy\r\nConnection: close\r\n\r\n".utf8)
        var rest = request[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw interrupted() }
            rest = rest.dropFirst(count)
        }
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw interrupted() }
            guard count > 0 else { break }
            received += buffer[..<count]
            guard received.count <= Self.largestAnswer else { throw broken() }
        }
        return try split(received)
    }

    private func connected() throws -> CInt {
        var address = sockaddr_un()
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else {
            throw Failure(
                status: .usage,
                message: "--socket: \(path): longer than the \(room - 1) bytes that Unix sockets have"
            )
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure.systemCall("open", "a socket") }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? 0 : errno
            }
        }
        guard code == 0 else {
            close(descriptor)
            let reason = String(cString: strerror(code))
            let advice =
                switch code {
                case ENOENT, ECONNREFUSED: "; does it run on this node, and with this --socket?"
                case EACCES, EPERM: "; only the user that it runs as may ask, mostly root"
                default: ""
                }
            throw Failure(
                status: .unreachable,
                message: "cannot reach swiftlet-proxy at \(path): \(reason)\(advice)"
            )
        }
        return descriptor
    }

    private func split(_ answer: [UInt8]) throws -> (code: Int, body: Data) {
        let end = Array("\r\n\r\n".utf8)
        guard let bodyStart = answer.indices.first(where: { answer[$0...].starts(with: end) }) else { throw broken() }
        let head = String(decoding: answer[..<bodyStart], as: UTF8.self).split(separator: "\r\n")
        let words = head.first?.split(separator: " ") ?? []
        guard words.count > 1, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]) else { throw broken() }
        let length = head.first { $0.lowercased().hasPrefix("content-length:") }.flatMap {
            Int($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " })
        }
        let body = answer[(bodyStart + end.count)...]
        guard length == body.count else { throw broken() }
        return (code, Data(body))
    }

    private func interrupted() -> Failure {
        let reason = errno == EAGAIN ? "no answer for \(Self.patience) s" : String(cString: strerror(errno))
        return Failure(status: .unreachable, message: "swiftlet-proxy at \(path): \(reason)")
    }

    private func broken() -> Failure {
        Failure(status: .error, message: "what answers at \(path) is no swiftlet-proxy, or ended while it answered")
    }
}
