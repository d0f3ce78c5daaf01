import Foundation
import Glibc
import Netlink
import Synchronization

/// Makes a port of this namespace's loopback reachable at 127.0.0.1 of another namespace, where a program under test
/// runs, and sees what goes through.
///
/// A socket belongs to the namespace that it was made in, so that only its making happens there.
public final class LoopbackRelay: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    private let port: UInt16
    private let listener: Int32
    private let isSilent: Bool
    private let state = Mutex(State())

    private struct State {
        var isStopped = false
        var descriptors: Set<Int32> = []
        var sent: [Int: [UInt8]] = [:]
        var connections = 0
    }

    /// - Parameters:
    ///   - port: on both sides, so that URLs and certificates are the same.
    ///   - isSilent: takes connections and never answers, as a server that hangs.
    public init(port: UInt16, in namespace: NetworkNamespace, isSilent: Bool = false) throws {
        self.port = port
        listener = try namespace.run { try Self.listen(port) }
        self.isSilent = isSilent
        guard !isSilent else { return }
        Thread { [listener, weak self] in
            defer { close(listener) }
            while true {
                let client = accept(listener, nil, nil)
                if client < 0, errno == EINTR { continue }
                guard client >= 0, let self else { return }
                self.connect(client)
            }
        }.start()
    }

    deinit {
        stop()
    }

    /// Ends all connections and frees the port.
    public func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            // Whoever is blocked in accept or read wakes up; only the owner of a descriptor closes it.
            shutdown(listener, Int32(SHUT_RDWR))
            if isSilent { close(listener) }
            for descriptor in state.descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// The paths of the plain HTTP requests so far, in the order of their connections. What looks like a request line
    /// within a body is counted too.
    public var requests: [String] {
        state.withLock { state in
            state.sent.keys.sorted().flatMap { connection in
                String(decoding: state.sent[connection] ?? [], as: UTF8.self).split(whereSeparator: \.isNewline)
                    .filter { $0.hasSuffix(" HTTP/1.1") }.map { String($0.split(separator: " ")[1]) }
            }
        }
    }

    public func clearRequests() { state.withLock { for key in $0.sent.keys { $0.sent[key] = [] } } }

    private static func listen(_ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var isOn: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        guard withAddress(port, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 64) == 0 else {
            throw Failure(description: "cannot listen on port \(port): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    private static func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private func connect(_ client: Int32) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let isOpen = state.withLock { state in
            state.descriptors.formUnion([client, server])
            state.connections += 1
            return !state.isStopped
        }
        guard isOpen, Self.withAddress(port, { Glibc.connect(server, $0, $1) }) == 0 else { return end(client, server) }
        let connection = state.withLock { $0.connections }
        let way = DispatchGroup()
        for (from, to, isRequest) in [(client, server, true), (server, client, false)] {
            way.enter()
            Thread { [self] in
                copy(from, to, recordedAs: isRequest ? connection : nil)
                way.leave()
            }.start()
        }
        Thread { [self] in
            way.wait()
            end(client, server)
        }.start()
    }

    private func copy(_ from: Int32, _ to: Int32, recordedAs connection: Int?) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(from, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            if let connection { state.withLock { $0.sent[connection, default: []] += buffer[..<count] } }
            var rest = buffer[..<count]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { send(to, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard written > 0 else { break }
                rest = rest.dropFirst(written)
            }
        }
        shutdown(to, Int32(SHUT_WR))
        // The other way has nothing left to carry either.
        if connection == nil { shutdown(to, Int32(SHUT_RDWR)) }
    }

    private func end(_ client: Int32, _ server: Int32) {
        state.withLock { $0.descriptors.subtract([client, server]) }
        close(client)
        close(server)
    }
}
