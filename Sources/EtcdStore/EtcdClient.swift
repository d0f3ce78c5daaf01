import ClusterClient
import JSON
import Logging
import NIOCore
import NIOHTTP1
import ServerTransport
import Synchronization

/// Requests to a cluster of etcd: finds a member that answers, logs in, and tries again.
///
/// Every request that goes through here may be sent twice: reads, and transactions that are guarded by the revisions of
/// the keys they write.
final class EtcdClient: Sendable {
    /// A member, with connections of its own, so that we choose whom to ask: one that answers may still have lost its
    /// leader.
    private struct Member: Sendable {
        let address: ServerAddress
        let transport: ServerTransport
    }

    /// An answer, and how sure it is that the request was done once.
    struct Answer: Sendable {
        let body: ByteBuffer
        let server: ServerAddress
        /// Whether an earlier attempt at the same request may have been done.
        let isRepeated: Bool
    }

    private enum Login: Sendable {
        case needed
        case token(String)
        /// The cluster has no authentication, as clients of etcd take in silence.
        case off
    }

    private let members: [Member]
    private let credentials: EtcdCredentials?
    private let timeLimit: Duration
    private let logger: Logger
    private let preferred = Atomic(0)
    private let login: Mutex<Login>

    init(_ configuration: EtcdConfiguration, timeLimit: Duration, logger: Logger) throws(TransportError) {
        guard !configuration.endpoints.isEmpty else {
            throw TransportError(.configuration, server: "", "no endpoint of etcd is given")
        }
        var members: [Member] = []
        for address in configuration.endpoints {
            let transport = try ServerTransport(addresses: [address], tls: configuration.tls, logger: logger)
            members.append(Member(address: address, transport: transport))
        }
        self.members = members
        credentials = configuration.credentials
        self.timeLimit = timeLimit
        self.logger = logger
        login = Mutex(configuration.credentials == nil ? .off : .needed)
    }

    func shutdown() async {
        for member in members { await member.transport.shutdown() }
    }

    /// Sends a request until it is answered, for as long as ``timeLimit`` and ``RequestDeadline`` allow.
    ///
    /// Members take turns without a pause; after each round there is one, which doubles and of which a random part is left
    /// out (a leader's election takes about a second). When nobody can be reached at all, half the time is enough to know.
    func send(_ path: String, _ body: [UInt8], bodyLimit: Int = 64 << 20) async throws(EtcdFailure) -> Answer {
        let start = ContinuousClock.now
        let deadline = min(start + timeLimit, RequestDeadline.current ?? start + timeLimit)
        let unreachableDeadline = start + start.duration(to: deadline) / 2
        var pause = Duration.milliseconds(20)
        var isRepeated = false
        var attempts = 0
        while true {
            attempts += 1
            let attemptStart = ContinuousClock.now
            let index = preferred.load(ordering: .relaxed) % members.count
            let failure: EtcdFailure
            do throws(EtcdFailure) {
                let left = ContinuousClock.now.duration(to: deadline)
                // While there are others to ask, one that hangs must not use up the time.
                let share = members.count > 1 ? max(min(left / 2, .seconds(3)), .milliseconds(200)) : left
                let response = try await attempt(path, body, members[index], min(left, share), bodyLimit)
                return Answer(body: response, server: members[index].address, isRepeated: isRepeated)
            } catch {
                failure = error
            }
            guard failure.isWorthAnotherTry else { throw failure }
            if failure.kind != .unreachable { isRepeated = true }
            preferred.store((index + 1) % members.count, ordering: .relaxed)
            logger.debug("etcd does not answer", metadata: ["error": "\(failure.message)"])
            let end = failure.kind == .unreachable ? unreachableDeadline : deadline
            if attempts.isMultiple(of: members.count) {
                let wait = pause * Double.random(in: 0.5...1)
                // An attempt that is cut short would only hide what this one found out.
                let now = ContinuousClock.now
                guard now + wait + attemptStart.duration(to: now) < end else { throw failure }
                do { try await Task.sleep(for: wait) } catch { throw EtcdFailure(.cancelled, "cancelled") }
                pause = min(pause * 2, .seconds(1))
            }
            guard ContinuousClock.now < deadline else { throw failure }
        }
    }

    /// Opens a stream at the member whose turn it is; returns when it has begun.
    func open(_ path: String, _ body: [UInt8]) async throws(EtcdFailure) -> (StreamedResponse, ServerAddress) {
        let index = preferred.load(ordering: .relaxed) % members.count
        do throws(EtcdFailure) {
            let member = members[index]
            return try await authenticated(at: member, .seconds(5)) { (headers) throws(EtcdFailure) in
                let request = Self.request(path, body, headers, timeout: .seconds(5), bodyLimit: 1 << 20)
                let response: StreamedResponse
                do throws(TransportError) {
                    response = try await member.transport.stream(request)
                } catch {
                    throw EtcdFailure(error)
                }
                guard response.status != 200 else { return (response, member.address) }
                var text = ByteBuffer()
                do {
                    for try await piece in response.body {
                        guard text.readableBytes + piece.readableBytes < 1 << 16 else { break }
                        text.writeImmutableBuffer(piece)
                    }
                } catch {
                    throw EtcdFailure(TransportError(error, server: member.address.description))
                }
                throw self.failure(response.status, text, member)
            }
        } catch {
            skip(index)
            throw error
        }
    }

    /// Lets another member have the next turn.
    func skip(_ server: ServerAddress) {
        if let index = members.firstIndex(where: { $0.address == server }) { skip(index) }
    }

    private func skip(_ index: Int) {
        _ = preferred.compareExchange(expected: index, desired: (index + 1) % members.count, ordering: .relaxed)
    }

    /// A failure that the server reports inside an answer of success.
    func failure(_ error: GatewayError, _ server: ServerAddress) -> EtcdFailure {
        EtcdFailure(error, server: server, hiding: secrets)
    }

    /// What a login that failed inside a stream means: the next request logs in again.
    func forgetLogin() {
        login.withLock { if credentials != nil { $0 = .needed } }
    }

    // MARK: One attempt

    private func attempt(
        _ path: String,
        _ body: [UInt8],
        _ member: Member,
        _ timeout: Duration,
        _ bodyLimit: Int
    ) async throws(EtcdFailure) -> ByteBuffer {
        try await authenticated(at: member, timeout) { (headers) throws(EtcdFailure) in
            try await self.exchange(Self.request(path, body, headers, timeout: timeout, bodyLimit: bodyLimit), member)
        }
    }

    private func exchange(_ request: TransportRequest, _ member: Member) async throws(EtcdFailure) -> ByteBuffer {
        let response: TransportResponse
        do throws(TransportError) {
            response = try await member.transport.send(request)
        } catch {
            throw EtcdFailure(error)
        }
        guard response.status == 200 else { throw failure(response.status, response.body, member) }
        return response.body
    }

    private func failure(_ status: Int, _ body: ByteBuffer, _ member: Member) -> EtcdFailure {
        EtcdFailure(status: status, body: body, server: member.address, hiding: secrets)
    }

    private static func request(
        _ path: String,
        _ body: [UInt8],
        _ headers: HTTPHeaders,
        timeout: Duration,
        bodyLimit: Int
    ) -> TransportRequest {
        var headers = headers
        headers.add(name: "Content-Type", value: "application/json")
        var request = TransportRequest(
            .POST,
            path,
            headers: headers,
            body: ByteBuffer(bytes: body),
            bodyLimit: bodyLimit
        )
        request.timeout = timeout
        return request
    }

    // MARK: Who we are

    /// Does something with our token, and once more with a new one when it has expired or the cluster was told to ask for
    /// one since.
    private func authenticated<Value: Sendable>(
        at member: Member,
        _ timeout: Duration,
        _ body: (HTTPHeaders) async throws(EtcdFailure) -> Value
    ) async throws(EtcdFailure) -> Value {
        do throws(EtcdFailure) {
            return try await body(try await headers(member, timeout))
        } catch {
            guard error.kind == .unauthenticated else { throw error }
            guard credentials != nil else {
                throw EtcdFailure(
                    .refused,
                    "\(member.address) wants a user and password; set etcd_username and etcd_password"
                )
            }
            forgetLogin()
        }
        do throws(EtcdFailure) {
            return try await body(try await headers(member, timeout))
        } catch {
            guard error.kind == .unauthenticated else { throw error }
            throw EtcdFailure(.refused, error.message)
        }
    }

    private func headers(_ member: Member, _ timeout: Duration) async throws(EtcdFailure) -> HTTPHeaders {
        switch (login.withLock { $0 }, credentials) {
        case (.token(let token), _): return ["Authorization": token]
        case (.off, _), (_, nil): return [:]
        case (.needed, let credentials?):
            guard let token = try await authenticate(credentials, member, timeout) else {
                login.withLock { $0 = .off }
                return [:]
            }
            login.withLock { $0 = .token(token) }
            return ["Authorization": token]
        }
    }

    /// `nil` when the cluster has no authentication.
    private func authenticate(
        _ credentials: EtcdCredentials,
        _ member: Member,
        _ timeout: Duration
    ) async throws(EtcdFailure) -> String? {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("name")
            writer.string(credentials.username)
            writer.name("password")
            writer.string(credentials.password)
        }
        let request = Self.request(
            "/v3/auth/authenticate",
            writer.bytes,
            [:],
            timeout: timeout,
            bodyLimit: 1 << 20
        )
        do throws(EtcdFailure) {
            let answer = try await exchange(request, member)
            var token = ""
            do throws(JSONReader.Failure) {
                try answer.readJSON { (reader) throws(JSONReader.Failure) in
                    try reader.object { (name, reader) throws(JSONReader.Failure) in
                        if name == "token" { token = try reader.string() } else { try reader.skip() }
                    }
                }
            } catch {
                throw EtcdFailure(.unintelligible, "\(member.address): the answer to a login is not etcd's")
            }
            // It goes into a header line.
            guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
                throw EtcdFailure(.unintelligible, "\(member.address): the answer to a login has no usable token")
            }
            return token
        } catch {
            guard error.kind == .authenticationIsOff else { throw error }
            return nil
        }
    }

    private var secrets: [String] {
        var secrets: [String] = []
        if let credentials { secrets.append(credentials.password) }
        if case .token(let token) = login.withLock({ $0 }) { secrets.append(token) }
        return secrets
    }
}
