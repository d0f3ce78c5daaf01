import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A server that listens, until ``stop()``.
public final class StatusServer: Sendable {
    public typealias Answer = @Sendable (StatusRequest) async -> StatusAnswer

    /// The port that it has, also where any was asked for.
    public let port: Int
    private let listener: any Channel
    private let connections: Connections

    /// Which of the families of an address count.
    public enum Reach: Sendable {
        /// As written; an unspecified address means both families where the node has both, as in Go.
        case any
        /// Only the family of the address.
        case family
    }

    private init(listener: any Channel, connections: Connections) {
        self.listener = listener
        self.connections = connections
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
        var bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
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
        if host.contains(":") {
            bootstrap = bootstrap.serverChannelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only),
                value: reach == .family ? 1 : 0
            )
        }
        let listener = try await bootstrap.bind(host: host, port: port).get()
        return StatusServer(listener: listener, connections: connections)
    }

    /// Stops listening and ends all connections.
    public func stop() async {
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
