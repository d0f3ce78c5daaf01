// LoadBalancer: connections and datagrams of clients, passed on to targets by sockets alone, without any rule in the
// kernel. Listeners, targets, algorithms, counters; never Services, Kubernetes, interfaces or namespaces.
//
// A few threads wait with epoll(7), each for connections of its own. SwiftNIO was measured first: with two channels for
// each connection it opened 0.6 to 0.7 times as many of them per second as haproxy does, at many times its memory.

import Glibc
import Logging
import NetworkTypes

public enum LoadBalancerError: Error, Hashable, Sendable, CustomStringConvertible {
    case stopped

    public var description: String {
        switch self {
        case .stopped: "the load balancer was stopped"
        }
    }
}

/// Serves listeners. Runs from its making to ``stop()``.
public actor LoadBalancer {
    private let loops: [EventLoop]
    private let environment: Environment
    private let logger: Logger
    private var listeners: [ListenEndpoint: Listener] = [:]
    /// With how many listeners use them; a group without any is forgotten.
    private var groups: [String: (group: ServiceGroup, listeners: Int)] = [:]
    private var near = NearSources()
    private var nextLoop = 0

    /// Raises the limit of open files, and starts the threads.
    public init(_ options: LoadBalancerOptions = LoadBalancerOptions(), logger: Logger) throws {
        self.logger = logger
        environment = Environment(options, openFiles: DescriptorLimit.raise(), logger: logger)
        loops = try (0..<options.loopCount).map { _ in try EventLoop(bufferSize: options.bufferSize) }
        for loop in loops { try options.startThread { loop.run() } }
    }

    deinit {
        let (loops, listeners) = (loops, listeners)
        Task { await Self.stop(loops, Array(listeners.values)) }
    }

    /// Connections and flows that can be served at once.
    public nonisolated var descriptorLimit: Int { environment.budget.limit }

    /// Of each group that has listeners.
    public var counters: [String: GroupCounters] { groups.mapValues { $0.group.counters } }

    /// Adds a listener, or lets one decide by something else from now on; clients that are served are not disturbed.
    ///
    /// - Throws: ``SystemCallError`` when the address cannot be listened on; a listener that was there stays as it was.
    public func set(_ specification: ListenerSpecification) async throws {
        let endpoint = specification.endpoint
        let routing = Routing(specification, near: near)
        if let listener = listeners[endpoint], listener.group.name == specification.group {
            try await apply(routing, to: listener)
            return
        }
        if listeners[endpoint] != nil { await remove(endpoint) }
        let group = groups[specification.group]?.group ?? ServiceGroup(specification.group, logger: logger)
        let listener: Listener =
            switch endpoint.transport {
            case .tcp: TCPListener(routing, group: group, environment: environment)
            case .udp: UDPListener(routing, group: group, environment: environment, on: takeLoop())
            }
        try await open(listener, for: specification)
        listeners[endpoint] = listener
        groups[specification.group] = (group, (groups[specification.group]?.listeners ?? 0) + 1)
    }

    /// Ends a listener. Connections go on until they end, or for the time that draining may take; flows end.
    public func remove(_ endpoint: ListenEndpoint) async {
        guard let listener = listeners.removeValue(forKey: endpoint) else { return }
        await close(listener)
        let old = listener.routing.specification
        let gone = ListenerSpecification(endpoint, group: old.group, route: TargetList([]), balancing: old.balancing)
        listener.routing = Routing(gone, near: near)
        await onEachLoop { listener.targetsChanged(on: $0) }
        guard let entry = groups[old.group] else { return }
        groups[old.group] = entry.listeners > 1 ? (entry.group, entry.listeners - 1) : nil
        forgetHealth(in: old.group)
    }

    /// Which clients get the near route of listeners that have one.
    public func setNearSources(_ sources: NearSources) {
        guard sources != near else { return }
        near = sources
        for listener in listeners.values {
            listener.routing = Routing(listener.routing.specification, near: near)
        }
    }

    /// Ends all listeners, connections, flows and threads.
    public func stop() async {
        let all = Array(listeners.values)
        listeners = [:]
        groups = [:]
        await Self.stop(loops, all)
    }

    private static func stop(_ loops: [EventLoop], _ listeners: [Listener]) async {
        for loop in loops {
            try? await loop.run { loop in  // Fails only after the loop has stopped.
                for listener in listeners {
                    if let descriptor = listener.descriptor { loop.remove(descriptor) }
                    listener.abortAll(on: loop)
                }
                for case let connection as TCPConnection in loop.handlers { connection.abort(on: loop) }
                loop.stop()
            }
        }
        for listener in listeners {
            guard let descriptor = listener.descriptor else { continue }
            listener.descriptor = nil
            Glibc.close(descriptor)
        }
    }

    // MARK: -

    private enum Need {
        /// A socket that takes clients, one that drops them, or none.
        case serving, dropping, nothing

        init(_ specification: ListenerSpecification) {
            self = !specification.isEmpty ? .serving : specification.whenEmpty == .drop ? .dropping : .nothing
        }
    }

    private func apply(_ routing: Routing, to listener: Listener) async throws {
        let old = listener.routing
        let need = Need(routing.specification)
        if Need(old.specification) != need {
            let descriptor = listener.descriptor
            await close(listener)
            listener.routing = routing
            do {
                try await open(listener, for: routing.specification)
            } catch {
                if descriptor != nil {
                    listener.routing = old
                    try? await open(listener, for: old.specification)
                }
                throw error
            }
        } else {
            listener.routing = routing
        }
        let (new, before) = (routing.specification, old.specification)
        guard new.route != before.route || new.nearRoute != before.nearRoute else { return }
        forgetHealth(in: new.group)
        await onEachLoop { listener.targetsChanged(on: $0) }
    }

    /// What was known of targets that no listener of the group has any more.
    private func forgetHealth(in name: String) {
        guard let group = groups[name]?.group else { return }
        var targets: Set<TransportAddress> = []
        for listener in listeners.values where listener.group === group {
            let specification = listener.routing.specification
            targets.formUnion(specification.route.targets)
            targets.formUnion(specification.nearRoute?.targets ?? [])
        }
        group.keepHealth(of: targets)
    }

    /// UDP listeners take turns.
    private func takeLoop() -> EventLoop {
        nextLoop += 1
        return loops[nextLoop % loops.count]
    }

    private func open(_ listener: Listener, for specification: ListenerSpecification) async throws {
        let need = Need(specification)
        guard need != .nothing else { return }
        let endpoint = specification.endpoint
        // The reserve is for the rest of the process: with none left it could not even hear of changes.
        guard environment.budget.has(1) else { throw SystemCallError(call: "socket", code: EMFILE) }
        environment.budget.take(1)
        let descriptor: Int32
        do {
            descriptor = try await loops[0].run { _ in
                try Socket.listening(on: endpoint, drops: need == .dropping)
            }
        } catch {
            environment.budget.give(1)
            throw error
        }
        listener.descriptor = descriptor
        guard need == .serving else { return }
        for loop in loops { loop.perform { listener.listen(to: descriptor, on: $0) } }
    }

    private func close(_ listener: Listener) async {
        guard let descriptor = listener.descriptor else { return }
        listener.descriptor = nil
        await onEachLoop { $0.remove(descriptor) }
        Glibc.close(descriptor)
        environment.budget.give(1)
    }

    private func onEachLoop(_ work: @escaping @Sendable (EventLoop) -> Void) async {
        for loop in loops { try? await loop.run(work) }  // Fails only after the loop has stopped.
    }
}
