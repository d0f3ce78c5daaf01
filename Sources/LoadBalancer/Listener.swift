import Glibc
import NetworkTypes
import Synchronization

/// A socket that clients come to. What it decides by can be replaced at any time, from any thread.
class Listener: EventHandler, @unchecked Sendable {
    let endpoint: ListenEndpoint
    let group: ServiceGroup
    let environment: Environment
    private let current: Mutex<Routing>
    private let socket = Mutex<Int32?>(nil)

    init(_ routing: Routing, group: ServiceGroup, environment: Environment) {
        endpoint = routing.specification.endpoint
        current = Mutex(routing)
        self.group = group
        self.environment = environment
    }

    var routing: Routing {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }

    /// The socket, while there is one.
    var descriptor: Int32? {
        get { socket.withLock { $0 } }
        set { socket.withLock { $0 = newValue } }
    }

    /// Takes what comes from now on, unless the socket was closed meanwhile; called on each loop.
    func listen(to descriptor: Int32, on loop: EventLoop) {}

    /// Clients that are served now and whose target is none any more; called on each loop after the routing has changed.
    func targetsChanged(on loop: EventLoop) {}

    /// Ends the flows of a listener that is closed for good; called on each loop.
    func abortAll(on loop: EventLoop) {}
}
