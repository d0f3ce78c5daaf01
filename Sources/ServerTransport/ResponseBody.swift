import AsyncHTTPClient
import NIOCore

/// The body of a response, read as it comes.
///
/// It ends where the server ended it; one that was cut throws. Reading stops the server from sending more than is
/// wanted; letting go of the body, or cancelling the task that reads it, ends the request.
public struct ResponseBody: AsyncSequence, Sendable {
    public typealias Element = ByteBuffer
    public typealias Failure = TransportError

    private let base: HTTPClientResponse.Body
    private let server: String
    /// A transport that nobody else holds any more goes on until its last body is read.
    private let transport: ServerTransport

    init(_ base: HTTPClientResponse.Body, server: String, transport: ServerTransport) {
        self.base = base
        self.server = server
        self.transport = transport
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: base.makeAsyncIterator(), server: server, transport: transport)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        private var base: HTTPClientResponse.Body.AsyncIterator
        private let server: String
        private let transport: ServerTransport

        fileprivate init(base: HTTPClientResponse.Body.AsyncIterator, server: String, transport: ServerTransport) {
            self.base = base
            self.server = server
            self.transport = transport
        }

        public mutating func next() async throws(TransportError) -> ByteBuffer? {
            do {
                return try await base.next()
            } catch {
                throw TransportError(error, server: server)
            }
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(TransportError) -> ByteBuffer? {
            do {
                return try await base.next(isolation: actor)
            } catch {
                throw TransportError(error, server: server)
            }
        }
    }

    /// The rest of the body.
    ///
    /// - Parameter limit: the most bytes that it may have.
    public func collect(upTo limit: Int, by deadline: ContinuousClock.Instant) async throws(TransportError)
        -> ByteBuffer
    {
        do {
            return try await withDeadline(deadline) { try await base.collect(upTo: limit) }
        } catch {
            throw TransportError(error, server: server, limit: limit, wasSent: true)
        }
    }
}
