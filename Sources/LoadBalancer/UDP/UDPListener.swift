import Glibc
import NetworkTypes

/// A UDP socket with the flows of its clients. All of them are on one loop, so that a client's datagrams stay in order.
final class UDPListener: Listener, @unchecked Sendable {
    /// What makes datagrams a flow: the client, and what it has dialled if the socket has several addresses.
    struct Client: Hashable {
        let address: TransportAddress
        /// The interface that a link-local address counts on.
        let scope: UInt32
        let dialled: IPAddress?
    }

    /// The loop that all of it is on.
    private let home: EventLoop
    private var flows: [Client: UDPFlow] = [:]

    init(_ routing: Routing, group: ServiceGroup, environment: Environment, on home: EventLoop) {
        self.home = home
        super.init(routing, group: group, environment: environment)
    }

    /// Datagrams that are taken at a time, so that others have their turn.
    private static let batchLimit = 64

    override func listen(to descriptor: Int32, on loop: EventLoop) {
        guard loop === home, self.descriptor == descriptor else { return }
        try? loop.add(descriptor, [.readable], self)  // Fails for want of kernel memory alone.
    }

    override func ready(_ descriptor: Int32, _ events: Readiness, on loop: EventLoop) {
        for _ in 0..<Self.batchLimit {
            guard let datagram = Datagrams.receive(descriptor, into: loop.buffer) else { return }
            let bytes = UnsafeRawBufferPointer(rebasing: loop.buffer[..<datagram.length])
            let client = Client(address: datagram.source, scope: datagram.scope, dialled: datagram.destination)
            group.received.add(UInt64(bytes.count), ordering: .relaxed)
            forward(bytes, of: client, on: loop)
        }
    }

    private func forward(_ bytes: UnsafeRawBufferPointer, of client: Client, on loop: EventLoop) {
        if let flow = flows[client] {
            guard let failed = flow.forward(bytes, on: loop) else { return }
            begin(with: bytes, of: client, tried: [failed], on: loop)
        } else {
            begin(with: bytes, of: client, tried: [], on: loop)
        }
    }

    /// Begins a flow with its first datagram, at the first target that takes it.
    private func begin(
        with bytes: UnsafeRawBufferPointer,
        of client: Client,
        tried: [TransportAddress],
        on loop: EventLoop
    ) {
        var tried = tried
        guard let question = routing.question(for: client.address.address) else {
            group.refused.add(1, ordering: .relaxed)
            return
        }
        guard environment.flows.has(1), environment.budget.has(1) else {
            return environment.shed(group, because: "all of \(environment.flows.limit) UDP flows are in use")
        }
        while let target = group.choose(question, for: client.address.address, tried: tried, on: loop) {
            do {
                let flow = try UDPFlow(of: client, to: target, self, on: loop)
                flows[client] = flow
                group.connections.add(1, ordering: .relaxed)
                guard let failed = flow.forward(bytes, on: loop) else { return }
                tried.append(failed)
            } catch {
                group.left(target)
                if error.code == EMFILE || error.code == ENFILE {
                    return environment.shed(group, because: error.description)
                }
                group.failed(target, at: loop.now, error.description)
                tried.append(target)
            }
        }
        group.refused.add(1, ordering: .relaxed)
    }

    /// Sends a client what came from its target.
    func answer(_ bytes: UnsafeRawBufferPointer, to client: Client) {
        guard let descriptor else { return }
        group.sent.add(UInt64(bytes.count), ordering: .relaxed)
        Datagrams.send(bytes, through: descriptor, to: client.address, scope: client.scope, from: client.dialled)
    }

    func ended(_ client: Client) { flows[client] = nil }

    /// The next datagram of a flow whose target is gone begins another.
    override func targetsChanged(on loop: EventLoop) {
        guard loop === home else { return }
        let routing = routing
        for flow in Array(flows.values) where !routing.has(flow.target) { flow.end(on: loop) }
    }

    override func abortAll(on loop: EventLoop) {
        guard loop === home else { return }
        for flow in Array(flows.values) { flow.end(on: loop) }
    }
}
