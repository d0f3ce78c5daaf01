import Foundation
import Glibc
import TestSupport
import Testing

@testable import StatusServers

@Suite struct LocalSocketTests {
    private func exchange(_ path: String, _ text: String) throws -> String {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        return try StatusServerTests.exchange(over: descriptor, text)
    }

    private let request = "GET /x?a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    private func start(_ path: String) async throws -> StatusServer {
        try await StatusServer.start(socket: path) { .json(200, body: $0.query) }
    }

    @Test func answersOnASocketThatIsItsOwners() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/made/proxy.sock"
        let server = try await start(path)
        #expect(try exchange(path, request).hasSuffix("\r\n\r\na"))
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(stat(directory.path + "/made", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o755)
        await server.stop()
        #expect(lstat(path, &status) != 0)
        #expect(throws: POSIXError.self) { try exchange(path, request) }
    }

    @Test func theSocketOfAKilledProcessIsReplaced() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/proxy.sock"
        // What a process leaves behind that had no time to clean up: a file that nobody listens on.
        let stale = try LocalSocket(path: path)
        close(stale.descriptor)
        #expect(throws: POSIXError.self) { try exchange(path, request) }
        let server = try await start(path)
        #expect(try exchange(path, request).hasSuffix("\r\n\r\na"))
        await server.stop()
    }

    @Test func onlyItsOwnFileIsTakenAway() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/proxy.sock"
        let first = try await start(path)
        #expect(unlink(path) == 0)
        let second = try await start(path)
        await first.stop()
        #expect(try exchange(path, request).hasSuffix("\r\n\r\na"))
        await second.stop()
    }

    @Test func theSocketOfALiveProcessIsLeftAlone() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/proxy.sock"
        let server = try await start(path)
        let error = await #expect(throws: LocalSocketError.self) { _ = try await start(path) }
        #expect(error?.description == "\(path): another process listens there")
        #expect(try exchange(path, request).hasSuffix("\r\n\r\na"))
        await server.stop()
    }

    @Test func pathsThatCannotBeAreRefused() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/file"
        try "text".write(toFile: file, atomically: true, encoding: .utf8)
        for (path, reason) in [
            (file, "something that is no socket is there; remove it, or name another path"),
            ("relative.sock", "it is no absolute path of a file"), ("/", "it is no absolute path of a file"),
            (file + "/proxy.sock", "Not a directory"), (directory.path + "/a/b/c.sock", "No such file or directory"),
            ("/" + String(repeating: "a", count: 107), "longer than the 107 bytes"),
        ] {
            let error = await #expect(throws: LocalSocketError.self) { _ = try await start(path) }
            #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        }
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "text")
    }
}
