import KubernetesAPI
import KubernetesClient
import KubernetesWire
import Logging
import NIOCore
import ServerTransport
import Synchronization

/// Makes the requests that keep up with the objects of one kind, as its informer wants them, and tells it what came.
final class ListWatch: Sendable {
    private let client: KubernetesClient
    private let resource: WatchedResource
    /// Runs while the server does not have the kind.
    private let standIn: ListWatch?
    private let substitute = Mutex(Substitute())
    private let informers: Informers
    private let pool: StringPool
    private let logger: Logger
    /// Falls back to JSON for good where a server has no protobuf.
    private let encoding: Mutex<WireEncoding>

    private let listTimeout: Duration

    /// How long the head of a watch may take, tries included.
    private static let headTimeout = Duration.seconds(30)
    /// 500 objects of the greatest size that etcd takes would be more; no cluster has such pages.
    private static let bodyLimit = 256 << 20

    init(
        _ client: KubernetesClient,
        _ resource: WatchedResource,
        standIn: ListWatch? = nil,
        _ informers: Informers,
        _ settings: KubernetesSource.Settings,
        pool: StringPool,
        logger: Logger
    ) {
        self.client = client
        self.resource = resource
        self.standIn = standIn
        self.informers = informers
        self.pool = pool
        self.logger = logger
        listTimeout = settings.listTimeout
        encoding = Mutex(settings.encoding)
    }

    /// Until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            switch await informers.next(resource.kind) {
            case .wait(let duration): try? await Task.sleep(for: duration)  // A cancelled task leaves the loop.
            case .list(let query): await list(query)
            case .watch(let query): await watch(query)
            }
        }
        await substitute.withLock { $0.stop() }?.value
    }

    // MARK: Lists

    private func list(_ query: ListQuery) async {
        let encoding = encoding.withLock { $0 }
        do {
            let response = try await client.send(request(query.parameters, accept: encoding.accept, listTimeout))
            let page = try Wire.decodeList(
                resource.kind,
                response.body.readableBytesUInt8Span,
                try Self.encoding(of: response.headers.first(name: "content-type")),
                pool
            )
            _ = substitute.withLock { $0.stop() }
            await informers.received(page, resource.kind)
        } catch {
            await failed(error)
        }
    }

    // MARK: Watches

    private func watch(_ query: WatchQuery) async {
        let encoding = encoding.withLock { $0 }
        let response: StreamedResponse
        let decoder: WatchDecoder
        do {
            response = try await client.stream(
                request(query.parameters, accept: encoding.acceptForWatch, Self.headTimeout)
            )
            decoder = WatchDecoder(
                resource.kind,
                try Self.encoding(of: response.headers.first(name: "content-type")),
                pool
            )
        } catch {
            return await failed(error)
        }
        _ = substitute.withLock { $0.stop() }
        let silence = Silence(await informers.opened(resource.kind))
        // The watch ends with whatever ends first: the stream, or the patience with it.
        let end = await withTaskGroup(of: WatchEnd?.self) { group in
            group.addTask { await self.follow(response, decoder, silence) }
            group.addTask { await silence.wait() }
            let end = await group.next() ?? nil
            group.cancelAll()
            return end
        }
        if let end, !Task.isCancelled { await informers.ended(end, resource.kind) }
    }

    /// - Returns: `nil` when the informer has given the watch up by itself.
    private func follow(
        _ response: StreamedResponse,
        _ decoder: consuming WatchDecoder,
        _ silence: Silence
    ) async -> WatchEnd? {
        var decoder = decoder
        do {
            for try await chunk in response.body {
                decoder.append(chunk.readableBytesUInt8Span)
                while let events = try Self.take(from: &decoder) {
                    guard let patience = await informers.received(events, resource.kind) else { return nil }
                    silence.isBroken(for: patience)
                }
            }
        } catch let error as WireError {
            return .failed(ReflectorFailure(.unreadable, "a watch cannot be read: \(error)"))
        } catch {
            return .cut(message: "\(TransportError(error, server: response.server))")
        }
        return decoder.pendingBytes == 0 ? .finished : .cut(message: "\(response.server): ended in the middle")
    }

    /// Some events, as many as have come; `nil` when there are none. An error comes after the events before it.
    private static func take(from decoder: inout WatchDecoder) throws(WireError) -> [WatchEvent]? {
        var events: [WatchEvent] = []
        while events.count < 256 {
            do {
                guard let event = try decoder.next() else { break }
                events.append(event)
            } catch {
                if events.isEmpty { throw error }
                break
            }
        }
        return events.isEmpty ? nil : events
    }

    // MARK: Both

    private func request(_ parameters: [(String, String)], accept: String, _ timeout: Duration) -> ResourceRequest {
        var request = ResourceRequest(.GET, APIResource(resource.kind))
        request.query = parameters
        if let selector = resource.labelSelector { request.query.append(("labelSelector", selector)) }
        if let selector = resource.fieldSelector { request.query.append(("fieldSelector", selector)) }
        request.accept = accept
        request.timeout = timeout
        request.bodyLimit = Self.bodyLimit
        return request
    }

    private static func encoding(of contentType: String?) throws(WireError) -> WireEncoding {
        guard let contentType, let encoding = WireEncoding(contentType: contentType) else {
            throw WireError(.unexpectedKind, "the response is \(contentType?.prefix(100) ?? "of no type")")
        }
        return encoding
    }

    private func failed(_ error: any Error) async {
        guard !Task.isCancelled else { return }
        let failure: ReflectorFailure
        switch error {
        case let error as KubernetesError:
            if error.reason == .notAcceptable, encoding.withLock({ $0.fallBack() }) {
                logger.info(
                    "the server has no protobuf; JSON is used",
                    metadata: ["kind": "\(resource.kind.rawValue)"]
                )
            }
            if isAbsence(error) {
                if let standIn, await !informers.isSynced(resource.kind) {
                    substitute.withLock { $0.start(standIn) }
                }
                failure = ReflectorFailure(.absent, retryAfter: error.retryAfter, "\(error)")
            } else {
                failure = ReflectorFailure(error)
            }
        case let error as WireError: failure = ReflectorFailure(.unreadable, "a response cannot be read: \(error)")
        default: failure = ReflectorFailure(.other, "\(error)")
        }
        await informers.failed(failure, resource.kind)
    }
}

extension ListWatch {
    /// The run of a stand-in.
    private struct Substitute {
        private var task: Task<Void, Never>?
        private var isRunning = false

        mutating func start(_ standIn: ListWatch) {
            guard !isRunning else { return }
            isRunning = true
            // One at a time: they would drive the same informer.
            task = Task { [before = task] in
                await before?.value
                await standIn.run()
            }
        }

        /// - Returns: what may still be at work.
        mutating func stop() -> Task<Void, Never>? {
            isRunning = false
            task?.cancel()
            return task
        }
    }

    /// Whether an error says that there is nothing to follow, where one can do without it.
    private func isAbsence(_ error: KubernetesError) -> Bool {
        switch resource.need {
        case .optional: error.reason == .notFound || error.reason == .forbidden
        case .required: error.reason == .notFound && standIn != nil
        case .standIn: false
        }
    }
}

extension WireEncoding {
    /// Whether there is another encoding to try.
    fileprivate mutating func fallBack() -> Bool {
        guard self == .protobuf else { return false }
        self = .json
        return true
    }
}

extension APIResource {
    init(_ kind: ObjectKind) {
        switch kind {
        case .service: self = .services
        case .endpointSlice: self = .endpointSlices
        case .endpoints: self = .endpoints
        case .node: self = .nodes
        case .serviceCIDR: self = .serviceCIDRs
        }
    }
}

extension ReflectorFailure {
    init(_ error: KubernetesError) {
        let message = "\(error)"
        if let status = error.status, Self.isVersionTooLarge(status) {
            self.init(.versionTooLarge, retryAfter: error.retryAfter, message)
            return
        }
        switch error.reason {
        case .expired: self.init(.expired, retryAfter: error.retryAfter, message)
        case .invalid, .badRequest: self.init(.refused, retryAfter: error.retryAfter, message)
        default: self.init(.other, retryAfter: error.retryAfter, message)
        }
    }
}

/// How long a stream has been silent, and for how long it may be.
final class Silence: Sendable {
    private let deadline: Mutex<ContinuousClock.Instant>

    init(_ patience: Duration) {
        deadline = Mutex(ContinuousClock.now + patience)
    }

    /// Something came; the next has to within this time.
    func isBroken(for patience: Duration) {
        deadline.withLock { $0 = ContinuousClock.now + patience }
    }

    /// - Returns: `nil` when cancelled.
    func wait() async -> WatchEnd? {
        while !Task.isCancelled {
            let deadline = deadline.withLock { $0 }
            guard ContinuousClock.now < deadline else { return .silent }
            // A deadline that has moved is seen when this one has passed.
            try? await Task.sleep(until: deadline, clock: .continuous)
        }
        return nil
    }
}
