import Foundation
import TestSupport
import Testing

@testable import StatusServers

@Suite struct StatusServerTests {
    /// Sends bytes as they are and returns all that comes back until the server closes.
    private func exchange(_ port: Int, _ text: String, closes: Bool = true) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw POSIXError(.ECONNREFUSED) }
        return try Self.exchange(over: descriptor, text)
    }

    /// Over a socket that is connected.
    static func exchange(over descriptor: Int32, _ text: String) throws -> String {
        let bytes = Array(text.utf8)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN { throw POSIXError(.ETIMEDOUT) }
            guard count > 0 else { break }
            received += buffer[..<count]
        }
        return String(decoding: received, as: UTF8.self)
    }

    private func withServer(
        _ limits: StatusServerLimits = StatusServerLimits(),
        _ body: (StatusServer) async throws -> Void
    ) async throws {
        let server = try await StatusServer.start(host: "127.0.0.1", port: 0, limits: limits) { request in
            guard request.path == "/x" else { return .notFound }
            return .json(503, headers: ["Extra": "1", "Bad": "a\r\nb"], body: "\(request.method) \(request.query)\n")
        }
        do {
            try await body(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    @Test func answersAsTold() async throws {
        try await withServer { server in
            let text = try exchange(server.port, "GET /x?a=b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(text.contains("Content-Type: application/json\r\n"))
            #expect(text.contains("X-Content-Type-Options: nosniff\r\n"))
            #expect(text.contains("Extra: 1\r\n"))
            #expect(!text.contains("Bad"))
            #expect(text.hasSuffix("\r\n\r\nGET a=b\n"))
            let missing = try exchange(server.port, "GET /y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(missing.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
            #expect(missing.hasSuffix("404 page not found\n"))
        }
    }

    @Test func aHeadHasNoBodyAndRequestsMayFollowEachOther() async throws {
        try await withServer { server in
            let text = try exchange(
                server.port,
                "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nGET /x?2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            )
            #expect(text.components(separatedBy: "HTTP/1.1 503").count == 3)
            #expect(!text.contains("HEAD "))
            #expect(text.hasSuffix("GET 2\n"))
        }
    }

    @Test func whatIsTooLargeOrNoHTTPIsNotAnswered() async throws {
        try await withServer { server in
            let large = "GET /x HTTP/1.1\r\nHost: h\r\nA: \(String(repeating: "a", count: 20000))\r\n\r\n"
            let refusal = try exchange(server.port, large)
            #expect(!refusal.contains("503"))
            #expect(try exchange(server.port, "nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400"))
            // And the next client is served.
            #expect(
                try exchange(server.port, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").contains("GET")
            )
        }
    }

    @Test func aSlowClientIsLeft() async throws {
        var limits = StatusServerLimits()
        limits.patience = .milliseconds(100)
        try await withServer(limits) { server in
            let start = ContinuousClock.now
            let text = try exchange(server.port, "GET /x HTTP/1.1\r\nHo")
            #expect(text == "")
            #expect(ContinuousClock.now - start < .seconds(4))
        }
    }

    @Test func connectionsBeyondTheLimitAreClosed() async throws {
        var limits = StatusServerLimits()
        limits.connections = 0
        try await withServer(limits) { server in
            let text = try? exchange(server.port, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect((text ?? "") == "")
        }
    }

    @Test func aStoppedServerListensNoMore() async throws {
        let server = try await StatusServer.start(host: "127.0.0.1", port: 0) { _ in .notFound }
        await server.stop()
        #expect(throws: (any Error).self) { try exchange(server.port, "GET / HTTP/1.0\r\n\r\n") }
        let again = try await StatusServer.start(host: "127.0.0.1", port: server.port) { _ in .notFound }
        await #expect(throws: (any Error).self) {
            try await StatusServer.start(host: "127.0.0.1", port: again.port) { _ in .notFound }
        }
        await again.stop()
    }
}
