import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server that listens, until ``stop()``.
public final class StatusServer: Sendable {
    public typealias Answer = @Sendable (StatusRequest) async -> StatusAnswer

    /// The port that it has, also where any was asked for; 0 on a Unix socket.
    public let port: Int
    private let listener: any Channel
    private let connections: Connections
    private let socket: LocalSocket?

    /// Which of the families of an address count.
    public enum Reach: Sendable {
        /// As written; an unspecified address means both families where the node has both, as in Go.
        case any
        /// Only the family of the address.
        case family
    }

    private init(listener: any Channel, connections: Connections, socket: LocalSocket? = nil) {
        self.listener = listener
        self.connections = connections
        self.socket = socket
        port = listener.localAddress?.port ?? 0
    }

    /// Listens and answers.
    ///
    /// - Parameter host: an IP address.
    /// - Throws: when the address cannot be had.
    public static func start(
        host: String,
        port: Int,
        reach: Reach = .any,
        limits: StatusServerLimits = StatusServerLimits(),
        answer: @escaping Answer
    ) async throws -> StatusServer {
        if reach == .any, host == "0.0.0.0" {
            // A node without IPv6 has only the narrower address.
            if let both = try? await start(host: "::", port: port, reach: .any, limits: limits, answer: answer) {
                return both
            }
        }
        let connections = Connections(limit: limits.connections)
        var bootstrap = bootstrap(connections, limits, answer)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
        if host.contains(":") {
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only),
                value: reach == .family ? 1 : 0
            )
        }
        let listener = try await bootstrap.bind(host: host, port: port).get()
        return StatusServer(listener: listener, connections: connections)
    }

    /// Listens on a Unix socket that only the user of this process may connect to, and answers. The directory is made
    /// when it is missing, and the socket of a process that is gone is replaced.
    ///
    /// - Throws: ``LocalSocketError`` when the path cannot be had.
    public static func start(
        socket path: String,
        limits: StatusServerLimits = StatusServerLimits(),
        answer: @escaping Answer
    ) async throws -> StatusServer {
        let socket = try LocalSocket(path: path)
        let connections = Connections(limit: limits.connections)
        let listener = try await bootstrap(connections, limits, answer).withBoundSocket(socket.descriptor).get()
        return StatusServer(listener: listener, connections: connections, socket: socket)
    }

    private static func bootstrap(
        _ connections: Connections,
        _ limits: StatusServerLimits,
        _ answer: @escaping Answer
    ) -> ServerBootstrap {
        ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                guard connections.add(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    let limit = RequestSizeLimit(bytes: limits.requestSize)
                    try channel.pipeline.syncOperations.addHandler(limit)
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withPipeliningAssistance: true,
                        withErrorHandling: true
                    )
                    try channel.pipeline.syncOperations.addHandler(
                        RequestHandler(limits: limits, sizeLimit: limit, answer: answer)
                    )
                }
            }
    }

    /// Stops listening and ends all connections.
    public func stop() async {
        // First, so that the next process does not find a file that nobody listens on.
        socket?.remove()
        try? await listener.close()  // Closed already is what is wanted.
        await connections.closeAll()
    }
}

/// The connections that are open.
private final class Connections: Sendable {
    private struct State {
        var open: [ObjectIdentifier: any Channel] = [:]
        var isClosed = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = limit
    }

    /// `false` when there are enough.
    func add(_ channel: any Channel) -> Bool {
        let id = ObjectIdentifier(channel)
        let isAdded = state.withLock { state in
            guard state.open.count < limit, !state.isClosed else { return false }
            state.open[id] = channel
            return true
        }
        if isAdded {
            channel.closeFuture.whenComplete { _ in self.state.withLock { _ = $0.open.removeValue(forKey: id) } }
        }
        return isAdded
    }

    func closeAll() async {
        let open = state.withLock { state in
            state.isClosed = true
            return Array(state.open.values)
        }
        for channel in open { try? await channel.close() }
    }
}
