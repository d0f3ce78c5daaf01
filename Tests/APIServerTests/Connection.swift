import Dispatch
import Glibc
import Synchronization
import TestAPIServer

/// A plain TCP connection to a server, of whose bytes the test has the say.
final class Connection: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let descriptor: Int32

    init(_ port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw Failure(description: "connect: \(String(cString: strerror(code)))")
        }
        // No call waits longer.
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    func send(_ bytes: [UInt8]) throws {
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Failure(description: "send: \(String(cString: strerror(errno)))")
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// How the peer ended the connection.
    enum End: Equatable { case orderly, reset, timeout, enough }

    /// Reads until the connection ends or what came is enough.
    func receive(until isEnough: @escaping @Sendable ([UInt8]) -> Bool = { _ in false }) async -> ([UInt8], End) {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                var bytes: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 65536)
                while true {
                    if isEnough(bytes) { return continuation.resume(returning: (bytes, .enough)) }
                    let count = recv(self.descriptor, &buffer, buffer.count, 0)
                    if count > 0 {
                        bytes += buffer[..<count]
                    } else if count == 0 {
                        return continuation.resume(returning: (bytes, .orderly))
                    } else if errno != EINTR {
                        let end: End = errno == ECONNRESET ? .reset : .timeout
                        return continuation.resume(returning: (bytes, end))
                    }
                }
            }
        }
    }
}

extension TestAPIServer {
    /// Sends one request on a connection of its own and reads all of the answer.
    func exchange(
        _ method: String,
        _ target: String,
        _ body: String = "",
        contentType: String = "application/json",
        accept: String = "application/json",
        headers: [String: String] = [:]
    ) async throws -> HTTPResponse {
        let connection = try Connection(port)
        try connection.send(
            Self.request(method, target, body, contentType: contentType, accept: accept, headers: headers)
        )
        let (bytes, end) = await connection.receive()
        guard let response = HTTPResponse(bytes) else {
            throw Connection.Failure(description: "no response but \(bytes.count) bytes, end: \(end)")
        }
        return response
    }

    static func request(
        _ method: String,
        _ target: String,
        _ body: String = "",
        contentType: String = "application/json",
        accept: String = "application/json",
        headers: [String: String] = [:],
        keepAlive: Bool = false
    ) -> String {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: test\r\nAccept: \(accept)\r\n"
        if !body.isEmpty { text += "Content-Type: \(contentType)\r\nContent-Length: \(body.utf8.count)\r\n" }
        for header in headers { text += "\(header.key): \(header.value)\r\n" }
        return text + "Connection: \(keepAlive ? "keep-alive" : "close")\r\n\r\n\(body)"
    }

    /// A server over plain HTTP.
    static func plain(_ change: (inout Options) -> Void = { _ in }) async throws -> TestAPIServer {
        var options = Options()
        options.security = .plain
        change(&options)
        return try await TestAPIServer(options)
    }
}

/// Waits until something holds, for at most ten seconds.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}
