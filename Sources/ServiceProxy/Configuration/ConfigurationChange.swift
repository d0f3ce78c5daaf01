/// What differs between two configurations, field by field, and whether a running proxy can follow (2.12).
public struct ConfigurationChange: Hashable, Sendable {
    public struct Field: Hashable, Sendable, CustomStringConvertible {
        /// As in a file: `clientConnection.qps`.
        public let path: String
        public let old: String
        public let new: String
        /// Why the change asks for nothing, or `nil` when it asks for something.
        public let unused: String?
        /// Whether the running proxy can take the new value.
        public let isLive: Bool

        public var description: String {
            "\(path) was \(old.isEmpty ? "empty" : old), is \(new.isEmpty ? "empty" : new)"
        }
    }

    /// In the order of the documentation.
    public let fields: [Field]

    /// The fields that a running proxy follows.
    static let live: Set<String> = [
        "logging.verbosity", "nftables.syncPeriod", "nftables.minSyncPeriod", "iptables.syncPeriod",
        "iptables.minSyncPeriod", "nodePortAddresses",
    ]

    /// - Parameter mode: that of the running proxy.
    public init(from old: KubeProxyConfiguration, to new: KubeProxyConfiguration, in mode: ProxyMode) {
        let (old, new) = (old.withDefaults, new.withDefaults)
        fields = ConfigurationField.all.compactMap { field in
            var (before, after) = (field.text(in: old), field.text(in: new))
            if case .nothing = field.access {
                before = old.givenWithoutValue.contains(field.path) ? "given" : ""
                after = new.givenWithoutValue.contains(field.path) ? "given" : ""
            }
            guard before != after else { return nil }
            let unused = field.unused(in: mode)
            let isLive =
                unused != nil || Self.live.contains(field.path) || field.path.hasPrefix("conntrack.")
            return Field(path: field.path, old: before, new: after, unused: unused, isLive: isLive)
        }
    }

    /// The fields that only another process can follow.
    public var needingRestart: [Field] { fields.filter { !$0.isLive } }
}
