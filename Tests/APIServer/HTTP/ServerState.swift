import NIOCore
import Synchronization

/// What the connections of a server share.
final class ServerState: Sendable {
    /// A connection that is open.
    struct Connection: Sendable {
        let eventLoop: any EventLoop
        let handler: NIOLoopBound<ConnectionHandler>
    }

    private struct State {
        var connections: [Int: Connection] = [:]
        var lastConnection = 0
        var metrics = TestAPIServer.Metrics()
        var requests: [LoggedRequest] = []
    }

    static let loggedRequests = 100_000

    let service: APIService
    let faults = FaultBook()
    private let state = Mutex(State())

    init(_ service: APIService) {
        self.service = service
    }

    /// Counts a connection and returns its number.
    func add(_ connection: Connection) -> Int {
        state.withLock { state in
            state.lastConnection += 1
            state.connections[state.lastConnection] = connection
            state.metrics.acceptedConnections += 1
            state.metrics.connections += 1
            return state.lastConnection
        }
    }

    func remove(_ number: Int) {
        state.withLock { state in
            if state.connections.removeValue(forKey: number) != nil { state.metrics.connections -= 1 }
        }
    }

    var connections: [Connection] { state.withLock { Array($0.connections.values) } }

    func countWatches(_ change: Int) { state.withLock { $0.metrics.watches += change } }

    func countSent(_ bytes: Int) { state.withLock { $0.metrics.sentBytes += bytes } }

    var metrics: TestAPIServer.Metrics { state.withLock { $0.metrics } }

    func log(_ request: LoggedRequest) {
        state.withLock { state in
            if state.requests.count >= Self.loggedRequests { state.requests.removeFirst(Self.loggedRequests / 2) }
            state.requests.append(request)
        }
    }

    var requests: [LoggedRequest] { state.withLock { $0.requests } }

    func clearRequests() { state.withLock { $0.requests = [] } }
}
