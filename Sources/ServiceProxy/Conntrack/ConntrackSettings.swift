/// The kernel's settings of connection tracking that the proxy sees to at its start (CT-7): which values it wants, and
/// which of them have to be written.
public struct ConntrackSettings: Hashable, Sendable {
    /// A setting of the kernel.
    enum Setting: CaseIterable, Sendable {
        case max, hashSize, tcpEstablishedTimeout, tcpCloseWaitTimeout, tcpBeLiberal, udpTimeout, udpStreamTimeout
    }

    /// A value that the kernel does not have yet.
    struct Write: Hashable, Sendable {
        let setting: Setting
        let value: Int
    }

    private let configuration: KubeProxyConfiguration.Conntrack

    /// What the product of `maxPerCore` and the number of processors counts for at most.
    private static let productLimit = 1_048_576
    /// The longest chain in the hash table, on average, that a full table is to have.
    private static let connectionsPerSlot = 4

    public init(_ configuration: KubeProxyConfiguration.Conntrack) {
        self.configuration = configuration
    }

    /// What has to be written, in order.
    ///
    /// - Parameter current: what the kernel has, or `nil` where that cannot be read.
    func writes(processors: Int, current: (Setting) -> Int?) -> [Write] {
        var wanted: [Write] = []
        if let max = max(processors: processors) {
            wanted.append(Write(setting: .max, value: max))
            let slots = max / Self.connectionsPerSlot
            // A table that is larger than that is fine.
            if current(.hashSize).map({ $0 < slots }) ?? true { wanted.append(Write(setting: .hashSize, value: slots)) }
        }
        for (setting, duration) in [
            (.tcpEstablishedTimeout, configuration.tcpEstablishedTimeout),
            (.tcpCloseWaitTimeout, configuration.tcpCloseWaitTimeout),
            (.udpTimeout, configuration.udpTimeout), (.udpStreamTimeout, configuration.udpStreamTimeout),
        ] as [(Setting, Duration)] where duration > .zero {
            // The kernel counts whole seconds, and 0 would make it forget at once.
            wanted.append(Write(setting: setting, value: Swift.max(1, Int(clamping: duration.components.seconds))))
        }
        if configuration.tcpBeLiberal { wanted.append(Write(setting: .tcpBeLiberal, value: 1)) }
        return wanted.filter { current($0.setting) != $0.value }
    }

    /// How many connections may be tracked; `nil` to leave that alone.
    private func max(processors: Int) -> Int? {
        guard configuration.maxPerCore > 0 else { return nil }
        let (product, overflows) = configuration.maxPerCore.multipliedReportingOverflow(by: Swift.max(1, processors))
        return Swift.max(overflows ? Self.productLimit : min(product, Self.productLimit), configuration.min)
    }
}

extension ConntrackSettings.Setting {
    /// Where the kernel has it.
    var path: String {
        switch self {
        case .max: "/proc/sys/net/netfilter/nf_conntrack_max"
        case .hashSize: "/sys/module/nf_conntrack/parameters/hashsize"
        case .tcpEstablishedTimeout: "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"
        case .tcpCloseWaitTimeout: "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait"
        case .tcpBeLiberal: "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal"
        case .udpTimeout: "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
        case .udpStreamTimeout: "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"
        }
    }

    /// What leaves it alone.
    var waiver: String {
        switch self {
        case .max, .hashSize: "conntrack.maxPerCore: 0"
        case .tcpEstablishedTimeout: "conntrack.tcpEstablishedTimeout: 0s"
        case .tcpCloseWaitTimeout: "conntrack.tcpCloseWaitTimeout: 0s"
        case .tcpBeLiberal: "conntrack.tcpBeLiberal: false"
        case .udpTimeout: "conntrack.udpTimeout: 0s"
        case .udpStreamTimeout: "conntrack.udpStreamTimeout: 0s"
        }
    }
}
