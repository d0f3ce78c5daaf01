import KubernetesAPI
import NetworkTypes
import ProxyAPI

/// Answers what a person asks about the proxy: which Services are programmed and how, and what would happen to a packet.
public struct ProxyExplainer: Sendable {
    /// A question that cannot be answered as it is put.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public enum Kind: Hashable, Sendable {
            /// The question makes no sense.
            case malformed
            /// What it is about does not exist.
            case notFound
            /// It can be answered later.
            case notReady
        }

        public let kind: Kind
        public let description: String

        init(_ kind: Kind, _ description: String) {
            self.kind = kind
            self.description = description
        }
    }

    let controller: ServiceController
    /// What the table is made from.
    let options: @Sendable (Surroundings) -> NFTablesOptions
    /// `nil` when connections are not counted.
    let counters: ConnectionCounters?
    let node: TraceNode
    /// Why packets cannot be traced; `nil` when they can.
    let untraceable: String?

    /// How many Services an answer has at most, and how many frontends with their backends, but for the last Service: so
    /// that an answer takes little memory, whatever there is.
    private static let pageLimit = (services: 250, backends: 5000)

    /// - Parameters:
    ///   - node: where the backend programs.
    ///   - untraceable: why packets cannot be traced, if so.
    ///   - options: what it was made with.
    public init(
        _ controller: ServiceController,
        counters: ConnectionCounters? = nil,
        node: TraceNode,
        untraceable: String? = nil,
        options: @escaping @Sendable (Surroundings) -> NFTablesOptions
    ) {
        self.controller = controller
        self.counters = counters
        self.node = node
        self.untraceable = untraceable
        self.options = options
    }

    /// Some Services in order.
    ///
    /// - Parameters:
    ///   - namespace: only those in it; `nil` for all.
    ///   - name: only the one with this name, in each namespace.
    ///   - after: the `next` of the page before.
    public func services(
        namespace: String? = nil,
        name: String? = nil,
        after: String? = nil,
        limit: Int? = nil
    ) async throws(Problem) -> ServicePage {
        let start = try after.map { text throws(Problem) in
            guard let start = ObjectName(text: text) else {
                throw Problem(.malformed, "after: \"\(text)\" is not NAMESPACE/NAME")
            }
            return start
        }
        var names: [ObjectName]
        if let namespace, let name {
            names = [ObjectName(namespace: namespace, name: name)]
        } else {
            names = await controller.serviceNames().filter { candidate in
                (namespace.map { $0 == candidate.namespace } ?? true) && (name.map { $0 == candidate.name } ?? true)
            }
        }
        let count = min(max(limit ?? Self.pageLimit.services, 1), Self.pageLimit.services)
        names = names.smallest(count + 1, after: start)
        let hasMore = names.count > count
        let facts = await controller.facts(of: Array(names.prefix(count)))
        // A Service that was asked for by its whole name is there or not; anything else may have no result.
        if facts.isEmpty, let namespace, let name {
            throw Problem(.notFound, "no Service \(namespace)/\(name) is known to the proxy")
        }
        let connections = await counters?.current()
        var page = ServicePage(
            node: await controller.catalog.node.name,
            awaiting: await controller.awaitedKinds,
            countsConnections: connections != nil
        )
        var backends = 0
        for fact in facts {
            page.services.append(fact.report(connections))
            backends += fact.wanted.reduce(0) { $0 + 1 + $1.frontend.route.backends.count }
            if backends > Self.pageLimit.backends { break }
        }
        if let last = page.services.last, page.services.count < facts.count {
            page.next = "\(last.namespace)/\(last.name)"
        } else if hasMore {
            page.next = "\(names[count - 1])"
        }
        return page
    }
}

extension ObjectName {
    /// Reads `namespace/name`.
    init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        self.init(namespace: String(parts[0]), name: String(parts[1]))
    }
}

extension [ObjectName] {
    /// The first ones in order behind a name, without sorting all.
    func smallest(_ count: Int, after start: ObjectName?) -> [ObjectName] {
        var result: [ObjectName] = []
        for name in self where start.map({ $0 < name }) ?? true {
            if result.count == count, let last = result.last {
                guard name < last else { continue }
                result.removeLast()
            }
            var (low, high) = (0, result.count)
            while low < high {
                let middle = (low + high) / 2
                if result[middle] < name { low = middle + 1 } else { high = middle }
            }
            result.insert(name, at: low)
        }
        return result
    }
}
