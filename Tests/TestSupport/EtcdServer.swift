import Foundation
import Glibc
import NetworkTypes
import Synchronization

/// A real etcd of one member on loopback, in a directory of its own. It ends with the process that started it, however
/// that ends.
public final class EtcdServer: Sendable {
    /// A program that tests of etcd need is not installed, or did not do what it should.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) {
            self.description = description
        }
    }

    /// The port for clients, on 127.0.0.1.
    public let port: UInt16
    private let peerPort: UInt16
    private let directory: TemporaryDirectory
    private let arguments: [String]
    private let isTLS: Bool
    private let running = Mutex<ServerProcess?>(nil)

    public var endpoint: String { "\(isTLS ? "https" : "http")://127.0.0.1:\(port)" }
    /// What etcd logs.
    public var log: String { (try? String(contentsOfFile: directory.path + "/log", encoding: .utf8)) ?? "" }

    /// Starts etcd and waits until it takes connections.
    ///
    /// - Parameter arguments: further ones, such as certificates; with `--cert-file` it speaks TLS.
    public init(_ arguments: String...) async throws {
        directory = try TemporaryDirectory()
        self.arguments = arguments
        isTLS = arguments.contains { $0.hasPrefix("--cert-file") }
        port = try Self.freePort()
        peerPort = try Self.freePort()
        try await start()
    }

    deinit {
        stop()
    }

    private static let program = ["/usr/bin/etcd", "/usr/local/bin/etcd"]

    /// Starts it again with the data that it had.
    public func start() async throws {
        guard let program = Self.program.first(where: { access($0, X_OK) == 0 }) else {
            throw Failure(description: "etcd is not installed; run scripts/setup test")
        }
        let peer = "http://127.0.0.1:\(peerPort)"
        let process = try ServerProcess(
            program,
            [
                "--data-dir=\(directory.path)/data", "--listen-client-urls=\(endpoint)",
                "--advertise-client-urls=\(endpoint)", "--listen-peer-urls=\(peer)",
                "--initial-advertise-peer-urls=\(peer)", "--initial-cluster=default=\(peer)", "--unsafe-no-fsync",
            ] + arguments,
            log: directory.path + "/log"
        )
        running.withLock { $0 = process }
        let deadline = ContinuousClock.now + .seconds(20)
        while !log.contains("serving ") && !log.contains("ready to serve client requests") {
            guard ContinuousClock.now < deadline, process.isRunning else {
                throw Failure(description: "etcd does not start: \(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Kills it (SIGKILL) and waits for the end; the data stay.
    public func stop() {
        let process = running.withLock { running in
            defer { running = nil }
            return running
        }
        process?.stop()
    }

    /// Sends it a signal, such as SIGSTOP.
    public func signal(_ signal: Int32) {
        running.withLock { if let running = $0 { _ = kill(running.id, signal) } }
    }

    /// A port of 127.0.0.1 that nobody listens on at the moment.
    public static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard isBound else { throw Failure(description: "no port is free: \(errno)") }
        return UInt16(bigEndian: address.sin_port)
    }
}
