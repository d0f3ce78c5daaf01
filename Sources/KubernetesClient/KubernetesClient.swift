// KubernetesClient: requests to a cluster's API server: where it is and who we are (kubeconfig, service account, plugins),
// one logical request with its tries and its pace, failures as typed errors, reading and writing of single objects as
// JSON, events. It keeps no objects, and it knows no kind of object but events and the status of a Pod. It is part of
// the CNI plugin, so it stays small.

import ClusterClient
import KubernetesAPI
import Logging
import NIOCore
import NIOHTTP1
import ServerTransport
import Synchronization

/// A client of one cluster's API server. It may be used by any number of tasks at once.
public final class KubernetesClient: Sendable {
    public let configuration: KubernetesConfiguration
    private let userAgent: String
    private let logger: Logger
    private let session: Session
    private let bucket: Mutex<TokenBucket?>
    private let warnings = Warnings()
    private let observe: (@Sendable (RequestOutcome) -> Void)?

    /// - Parameters:
    ///   - userAgent: as `swiftlet-proxy/1.2.3`.
    ///   - rateLimit: the client's own limit; `nil` for none.
    ///   - observe: is told of every try of a request.
    /// - Throws: `KubernetesError` when the configuration cannot be used at all: no server, or certificates that are none.
    ///   Files are read when the first request needs them.
    public init(
        _ configuration: KubernetesConfiguration,
        userAgent: String,
        rateLimit: RateLimit?,
        observe: (@Sendable (RequestOutcome) -> Void)? = nil,
        logger: Logger
    ) throws(KubernetesError) {
        guard !configuration.servers.isEmpty else {
            throw KubernetesError(.transport(.configuration), "\(configuration.origin) names no server")
        }
        self.configuration = configuration
        self.userAgent = userAgent
        self.logger = logger
        self.observe = observe
        session = Session(configuration, logger: logger)
        bucket = Mutex(rateLimit.map { TokenBucket($0, now: .now) })
    }

    /// Makes one logical request and reads the whole response.
    ///
    /// It waits for its turn (``RateLimit``), authenticates, and again after a 401 when that gives other credentials,
    /// and tries again where that is safe: when the server asks for it (429, or 5xx with Retry-After), when it could
    /// not be reached at all, and, of a request that only reads, when the connection broke. All of it ends by the
    /// time-out of the request or by `RequestDeadline.current`, whichever comes first.
    ///
    /// - Throws: `KubernetesError`, also for every status that is no success.
    public func send(_ request: ResourceRequest) async throws(KubernetesError) -> TransportResponse {
        try await perform(request) { (transport, message) throws(TransportError) in
            let response = try await transport.send(message)
            return Answer(
                value: response,
                status: response.status,
                headers: response.headers,
                server: response.server,
                body: response.body
            )
        }
    }

    /// As ``send(_:)``, but returns as soon as the head of the response is there, and it is a success.
    public func stream(_ request: ResourceRequest) async throws(KubernetesError) -> StreamedResponse {
        try await perform(request) { (transport, message) throws(TransportError) in
            let response = try await transport.stream(message)
            let isSuccess = (200..<300).contains(response.status)
            let body = isSuccess ? ByteBuffer() : try await response.body.collect(upTo: 1 << 20, by: message.deadline)
            return Answer(
                value: response,
                status: response.status,
                headers: response.headers,
                server: response.server,
                body: body
            )
        }
    }

    /// Lets go of all connections; requests fail from now on.
    public func shutdown() async {
        await session.shutdown()
    }

    // MARK: One logical request

    /// What came back, with as much of it as is needed to judge it.
    private struct Answer<Value: Sendable>: Sendable {
        let value: Value
        let status: Int
        let headers: HTTPHeaders
        let server: String
        let body: ByteBuffer

    }

    private func perform<Value: Sendable>(
        _ request: ResourceRequest,
        _ exchange: (ServerTransport, TransportRequest) async throws(TransportError) -> Answer<Value>
    ) async throws(KubernetesError) -> Value {
        let deadline = Deadline(request.timeout)
        var retries = Retries(isSafeToRepeat: request.method == .GET || request.method == .HEAD)
        var isRenewed = false
        while true {
            try await takeTurn(request, deadline)
            let access = try await session.access(request, deadline)
            let failure: KubernetesError
            let start = ContinuousClock.now
            do throws(TransportError) {
                let answer = try await exchange(access.transport, message(request, access, deadline))
                observe?(RequestOutcome(request, answer.server, answer.status, since: start))
                warnings.log(answer.headers, request, logger)
                if (200..<300).contains(answer.status) { return answer.value }
                failure = KubernetesError(
                    request,
                    server: answer.server,
                    code: answer.status,
                    headers: answer.headers,
                    body: answer.body
                )
            } catch {
                observe?(RequestOutcome(request, error.server, nil, since: start))
                failure = KubernetesError(error, request)
            }
            if failure.reason == .unauthorized, !isRenewed {
                isRenewed = true
                if try await session.renew(access, request, deadline) { continue }
            }
            guard let wait = retries.wait(after: failure), deadline.allows(wait) else {
                throw failure.reason == .unauthorized ? failure.withRemedy(configuration) : failure
            }
            logger.debug("request is tried again", metadata: ["error": "\(failure)", "after": "\(wait)"])
            try await sleep(wait, request)
        }
    }

    private func takeTurn(_ request: ResourceRequest, _ deadline: Deadline) async throws(KubernetesError) {
        let wait = bucket.withLock { bucket in
            guard bucket != nil else { return Duration.zero as Duration? }
            return bucket?.take(now: .now, deadline: deadline.instant)
        }
        guard let wait else {
            throw KubernetesError(
                .transport(.timeout),
                "\(request.summary): its turn under the client's own rate limit would come after its deadline"
            )
        }
        if wait > .zero { try await sleep(wait, request) }
    }

    private func sleep(_ wait: Duration, _ request: ResourceRequest) async throws(KubernetesError) {
        do {
            try await Task.sleep(for: wait)
        } catch {
            throw KubernetesError(.transport(.cancelled), "\(request.summary): cancelled")
        }
    }

    private func message(
        _ request: ResourceRequest,
        _ access: Session.Access,
        _ deadline: Deadline
    ) -> TransportRequest {
        var headers = HTTPHeaders()
        headers.add(name: "User-Agent", value: userAgent)
        headers.add(name: "Accept", value: request.accept)
        if let contentType = request.contentType { headers.add(name: "Content-Type", value: contentType) }
        for (name, value) in access.headers { headers.add(name: name, value: value) }
        var message = TransportRequest(
            request.method,
            request.target,
            headers: headers,
            body: request.body,
            bodyLimit: request.bodyLimit
        )
        message.timeout = deadline.left
        return message
    }
}

extension KubernetesError {
    fileprivate func withRemedy(_ configuration: KubernetesConfiguration) -> KubernetesError {
        KubernetesError(
            reason,
            "\(message); the server does not accept the credentials of \(configuration.origin)"
                + " (\(configuration.credentials)): renew them",
            status: status,
            retryAfter: retryAfter,
            code: code
        )
    }
}
