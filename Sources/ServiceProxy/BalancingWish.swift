import KubernetesAPI

/// What a Service asks for by annotation, and only a backend that handles connections itself can do. Others pass it over.
public struct BalancingWish: Hashable, Sendable {
    /// How clients are spread over endpoints.
    public enum Algorithm: String, Hashable, Sendable, CaseIterable {
        case random
        case roundRobin = "round-robin"
        case leastConnections = "least-connections"
        /// Consistent hashing of the client's address.
        case maglev
    }

    /// `nil` without a wish.
    public var algorithm: Algorithm?
    /// Whether endpoints want to hear who is connected, by a PROXY protocol v2 header.
    public var sendsProxyHeader: Bool

    public init(algorithm: Algorithm? = nil, sendsProxyHeader: Bool = false) {
        self.algorithm = algorithm
        self.sendsProxyHeader = sendsProxyHeader
    }

    /// What annotations say, and which of them cannot be understood.
    struct Reading {
        var wish = BalancingWish()
        /// Each with what it may be.
        var unreadable: [String] = []
    }
}

extension BalancingWish.Reading {
    init(of annotations: [String: String]) {
        func read<Value: RawRepresentable<String> & CaseIterable>(_ key: String) -> Value? {
            guard let text = annotations[key] else { return nil }
            if let value = Value(rawValue: text) { return value }
            let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
            unreadable.append("\(key): \"\(text)\" is none of \(known)")
            return nil
        }
        guard !annotations.isEmpty else { return }
        wish.algorithm = read(AnnotationKey.loadBalancing)
        let header: ProxyHeaderVersion? = read(AnnotationKey.proxyProtocol)
        wish.sendsProxyHeader = header != nil
    }

    private enum ProxyHeaderVersion: String, CaseIterable {
        case v2
    }
}
