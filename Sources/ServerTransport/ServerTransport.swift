// ServerTransport: requests to one logical server that may be reached at several addresses, over HTTP/1.1 and TLS. The
// Kubernetes client and the etcd store share it. It moves bytes and fails over between addresses; what a status code
// means, who the caller is, and when to try again is its callers' business.
//
// HTTP/1.1 and not HTTP/2: each watch has a connection of its own, so that TCP itself tells a dead peer from a silent
// one, and a slow consumer of one watch holds up nothing else.

import AsyncHTTPClient
import ClusterClient
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// An HTTP client for one logical server.
///
/// Requests go to the address that answered last; one that cannot be reached makes the others be tried, each once.
public final class ServerTransport: Sendable {
    public let addresses: [ServerAddress]
    private let clients: [HTTPClient]
    private let logger: Logger
    private let preferred = Atomic(0)

    /// Makes one thread serve all connections of this process, for programs that ask little and end soon. Without it there is
    /// one for each processor, made with the first request. Only before the first transport is made this has an effect.
    public static func useOneThread() { usesOneThread.store(true, ordering: .relaxed) }

    private static let usesOneThread = Atomic(false)

    private static let threads: MultiThreadedEventLoopGroup = {
        if usesOneThread.load(ordering: .relaxed) { NIOSingletons.groupLoopCountSuggestion = 1 }
        return .singleton
    }()

    /// How long connecting to one address may take, TLS included.
    public static let connectTimeout: Duration = .seconds(5)
    /// How long one request may take, unless it says otherwise.
    public static let requestTimeout: Duration = .seconds(30)

    /// - Parameter addresses: not empty.
    /// - Throws: ``TransportError`` with reason ``TransportError/Reason/configuration`` when certificates or keys
    ///   cannot be used, or an address is none.
    public init(
        addresses: [ServerAddress],
        tls: TLSSettings = TLSSettings(),
        proxy: ProxyAddress? = nil,
        logger: Logger
    ) throws(TransportError) {
        guard !addresses.isEmpty else { throw TransportError(.configuration, server: "", "no server is given") }
        self.addresses = addresses
        self.logger = logger
        // Certificates are read only if some address needs them.
        let certificates = addresses.contains(where: \.isTLS) ? try tls.configuration() : nil
        var clients: [HTTPClient] = []
        for address in addresses {
            var configuration = HTTPClient.Configuration()
            configuration.httpVersion = .http1Only
            configuration.redirectConfiguration = .disallow
            configuration.timeout.connect = TimeAmount(Self.connectTimeout)
            configuration.connectionPool.retryConnectionEstablishment = false
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
            configuration.proxy = proxy?.proxy
            configuration.http1_1ConnectionDebugInitializer = { Self.watchPeer(of: $0) }
            configuration.tlsConfiguration = certificates
            if address.isTLS, let name = tls.serverName, name != address.host {
                // The name that is verified, and sent as SNI, is that of the URL.
                configuration.dnsOverride = [name: address.host]
            }
            clients.append(
                HTTPClient(eventLoopGroup: Self.threads, configuration: configuration)
            )
        }
        self.clients = clients
        verifiedName = tls.serverName
    }

    private let verifiedName: String?

    deinit {
        for client in clients { client.shutdown { _ in } }
    }

    /// A dead peer is noticed after half a minute, whether it owes us bytes (user time-out) or not (keep-alive).
    private static func watchPeer(of channel: any Channel) -> EventLoopFuture<Void> {
        let options: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
            (.socketOption(.so_keepalive), 1),
            (.tcpOption(NIOBSDSocket.Option(rawValue: 4)), 15),  // TCP_KEEPIDLE, seconds
            (.tcpOption(NIOBSDSocket.Option(rawValue: 5)), 5),  // TCP_KEEPINTVL, seconds
            (.tcpOption(NIOBSDSocket.Option(rawValue: 6)), 3),  // TCP_KEEPCNT
            (.tcpOption(NIOBSDSocket.Option(rawValue: 18)), 30_000),  // TCP_USER_TIMEOUT, milliseconds
        ]
        let set = options.map { channel.setOption($0.0, value: $0.1) }
        // A kernel that lacks one of them still serves.
        return EventLoopFuture.andAllComplete(set, on: channel.eventLoop)
    }

    /// Sends a request and reads the whole response.
    ///
    /// The status is not judged. The request ends by its own time-out or by ``RequestDeadline/current``, whichever
    /// comes first.
    public func send(_ request: TransportRequest) async throws(TransportError) -> TransportResponse {
        let deadline = request.deadline
        let response = try await start(request, deadline)
        return TransportResponse(
            status: response.status,
            headers: response.headers,
            body: try await response.body.collect(upTo: request.bodyLimit, by: deadline),
            server: response.server
        )
    }

    /// Sends a request and returns as soon as the head of the response is there. The body has no time-out; its reader
    /// ends it by dropping it.
    public func stream(_ request: TransportRequest) async throws(TransportError) -> StreamedResponse {
        try await start(request, request.deadline)
    }

    private func start(
        _ request: TransportRequest,
        _ deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> StreamedResponse {
        let first = preferred.load(ordering: .relaxed)
        var failure: TransportError?
        for offset in clients.indices {
            let index = (first + offset) % clients.count
            do {
                let response = try await executeOnLiveConnection(request, on: index, deadline)
                if index != first { preferred.store(index, ordering: .relaxed) }
                return response
            } catch {
                failure = error
                guard error.isWorthAnotherAddress(request), ContinuousClock.now < deadline else { throw error }
                if clients.count > 1 {
                    logger.debug(
                        "server cannot be reached",
                        metadata: ["server": "\(addresses[index])", "error": "\(error)"]
                    )
                }
            }
        }
        throw failure ?? TransportError(.configuration, server: "", "no server is given")
    }

    /// The server may have closed a connection that lay in the pool, just as it was taken out: once more, on another.
    private func executeOnLiveConnection(
        _ request: TransportRequest,
        on index: Int,
        _ deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> StreamedResponse {
        do throws(TransportError) {
            return try await execute(request, on: index, deadline)
        } catch {
            guard error.reason == .cut, request.isIdempotent, ContinuousClock.now < deadline else { throw error }
            return try await execute(request, on: index, deadline)
        }
    }

    private func execute(
        _ request: TransportRequest,
        on index: Int,
        _ deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> StreamedResponse {
        let address = addresses[index]
        var message = HTTPClientRequest(url: address.url(request.target, verifying: verifiedName))
        message.method = request.method
        message.headers = request.headers
        if address.isTLS, verifiedName != nil { message.headers.replaceOrAdd(name: "Host", value: address.authority) }
        if let body = request.body { message.body = .bytes(body) }
        do {
            let left = ContinuousClock.now.duration(to: deadline)
            let response = try await clients[index].execute(
                message,
                deadline: .now() + TimeAmount(left),
                logger: logger
            )
            return StreamedResponse(
                status: Int(response.status.code),
                headers: response.headers,
                body: ResponseBody(response.body, server: address.description, transport: self),
                server: address.description
            )
        } catch {
            throw TransportError(error, server: address.description, limit: request.bodyLimit, wasSent: false)
        }
    }

    /// Lets go of all connections; requests fail from now on.
    public func shutdown() async {
        for client in clients { try? await client.shutdown() }
    }
}

extension TransportRequest {
    /// By when the request has to be over, if it begins now.
    public var deadline: ContinuousClock.Instant {
        let own = ContinuousClock.now + timeout
        return RequestDeadline.current.map { min($0, own) } ?? own
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}

/// The time was up.
struct DeadlineExceeded: Error {}

/// Does something until a moment, upon which it is cancelled.
func withDeadline<Value: Sendable>(
    _ deadline: ContinuousClock.Instant,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask(operation: body)
        group.addTask {
            try await Task.sleep(until: deadline, clock: .continuous)
            throw DeadlineExceeded()
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
