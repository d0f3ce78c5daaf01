import ProxyAPI

/// A flag of the command line: one of a field of the configuration, or one of its own.
struct ProxyFlag: Sendable {
    let name: String
    /// What stands for the value in the help; `nil` for a flag that needs no value.
    let valueName: String?
    let help: String
    /// Whether it counts beside `--config` (2.12).
    let countsWithFile: Bool
    /// Several texts of it are one list.
    let isList: Bool
    /// Takes the text, and returns what it should have been, or `nil` when all is well.
    let apply: @Sendable (String, inout ProxyCommandLine.Values) -> String?

    private init(
        _ name: String,
        _ valueName: String?,
        _ help: String,
        countsWithFile: Bool = false,
        isList: Bool = false,
        apply: @escaping @Sendable (String, inout ProxyCommandLine.Values) -> String?
    ) {
        self.name = name
        self.valueName = valueName
        self.help = help
        self.countsWithFile = countsWithFile
        self.isList = isList
        self.apply = apply
    }

    private typealias Path<Value> = WritableKeyPath<ProxyCommandLine.Values, Value> & Sendable

    private static func text(_ name: String, _ valueName: String, _ path: Path<String?>, _ help: String) -> ProxyFlag {
        ProxyFlag(name, valueName, help, countsWithFile: true) { text, values in
            values[keyPath: path] = text
            return nil
        }
    }

    private static func bool(_ name: String, _ path: Path<Bool>, _ help: String) -> ProxyFlag {
        ProxyFlag(name, nil, help, countsWithFile: true) { text, values in
            guard let value = Bool(goText: text) else { return "true or false" }
            values[keyPath: path] = value
            return nil
        }
    }

    /// One that counts for several modes.
    private static func period(_ name: String, _ paths: [Path<Duration>], _ help: String) -> ProxyFlag {
        ProxyFlag(name, "duration", help) { text, values in
            guard let value = GoDuration.parse(text) else { return "a duration like 1h0m5s" }
            for path in paths { values[keyPath: path] = value }
            return nil
        }
    }

    /// The deprecated way to say where a server listens: 0 switches it off.
    private static func port(_ name: String, _ path: Path<String?>, loopback: Bool, _ help: String) -> ProxyFlag {
        ProxyFlag(name, "port", help) { text, values in
            guard let port = UInt16(text) else { return "a port number" }
            let host =
                switch (loopback, values.configuration.bindAddress.contains(":")) {
                case (true, true): "[::1]"
                case (true, false): "127.0.0.1"
                case (false, true): "[::]"
                case (false, false): "0.0.0.0"
                }
            values[keyPath: path] = port == 0 ? "" : "\(host):\(port)"
            return nil
        }
    }

    private static let own: [ProxyFlag] = [
        text("config", "file", \.configurationFile, "The configuration: a KubeProxyConfiguration in YAML or JSON."),
        text(
            "write-config-to",
            "file",
            \.writeConfigurationTo,
            "Write the configuration, defaults filled in, to this file, and exit."
        ),
        text(
            "manifests",
            "dir",
            \.manifests,
            "Take objects from the manifest files in this directory, and follow their changes."
        ),
        text("master", "url", \.master, "The address of the API server; goes before that of the kubeconfig."),
        text(
            "snapshot",
            "file",
            \.snapshot,
            """
            Keep what the API server said last in this file, for a start while it is away; empty: nowhere. (default: \
            \(ProxyConfiguration.defaultSnapshot))
            """
        ),
        text(
            "socket",
            "path",
            \.socket,
            """
            Answer swiftletctl proxy on this Unix socket, which only the user of the proxy may use; empty: nowhere. \
            (default: \(ProxyAPI.defaultSocket))
            """
        ),
        bool(
            "connection-counters",
            \.countsConnections,
            """
            Count the new connections to each frontend, for swiftletctl proxy show and as metric \
            swiftlet_proxy_service_connections_total. Each connection then costs one look-up more.
            """
        ),
        ProxyFlag(
            "userspace-algorithm",
            "name",
            """
            In userspace mode: how clients of Services without annotation swiftlet.io/load-balancing are spread over \
            endpoints: random (the default), round-robin, least-connections or maglev.
            """,
            countsWithFile: true
        ) { text, values in
            guard let algorithm = BalancingWish.Algorithm(rawValue: text) else {
                return "one of " + BalancingWish.Algorithm.allCases.map(\.rawValue).joined(separator: ", ")
            }
            values.userspaceAlgorithm = algorithm
            return nil
        },
        ProxyFlag(
            "userspace-drain-timeout",
            "duration",
            """
            In userspace mode: how long connections may go on whose endpoint terminates or is no longer ready; by default \
            until they end by themselves.
            """,
            countsWithFile: true
        ) { text, values in
            guard let value = GoDuration.parse(text), value >= .zero else { return "a duration like 1h0m5s" }
            values.userspaceDrainTimeout = value
            return nil
        },
        text(
            "userspace-listen",
            "list",
            \.userspaceListen,
            """
            In userspace mode without CAP_NET_ADMIN: the addresses of this host on which the ports of --userspace-ports \
            are served; by default 127.0.0.1 and ::1.
            """
        ),
        text(
            "userspace-ports",
            "list",
            \.userspacePorts,
            """
            In userspace mode without CAP_NET_ADMIN: where Services are served, as namespace/name:port=8080 or, where \
            the Service's port has no name, namespace/name=8080.
            """
        ),
        bool(
            "cleanup",
            \.cleanup,
            """
            Remove all that the proxy has programmed in any mode: the nftables tables "ip swiftlet" and "ip6 swiftlet", \
            its chains of iptables, and the addresses of userspace mode. Then exit. Services stop working on this node. What other proxies programmed \
            stays.
            """
        ),
        bool(
            "init-only",
            \.initOnly,
            """
            Check the configuration, but not what the kubeconfig says, and whether the kernel is new enough and takes \
            our rules; do what needs more than CAP_NET_ADMIN, and exit. Rules stay as they are.
            """
        ),
        bool(
            "replace-kube-proxy",
            \.replaceKubeProxy,
            """
            Once our rules are in place, remove what kube-proxy has left: its nftables tables, and its chains of \
            iptables where the tools for them are installed; in iptables mode, where ours have the same names, take \
            them over. Stop kube-proxy first.
            """
        ),
        bool("version", \.version, "Print the version, and exit."),
        bool("help", \.help, "Print this, and exit."),
        ProxyFlag("masquerade-all", nil, "Masquerade all traffic to cluster IPs, that of pods included.") {
            text,
            values in
            guard let value = Bool(goText: text) else { return "true or false" }
            values.configuration.nftables.masqueradeAll = value
            values.configuration.iptables.masqueradeAll = value
            return nil
        },
        period(
            "iptables-sync-period",
            [\.configuration.nftables.syncPeriod, \.configuration.iptables.syncPeriod],
            "The longest wait before something that failed is tried again."
        ),
        period(
            "iptables-min-sync-period",
            [\.configuration.nftables.minSyncPeriod, \.configuration.iptables.minSyncPeriod],
            "The shortest time between two changes of the rules."
        ),
        port(
            "healthz-port",
            \.configuration.healthzBindAddress,
            loopback: false,
            "Deprecated: use --healthz-bind-address. 0: no server."
        ),
        port(
            "metrics-port",
            \.configuration.metricsBindAddress,
            loopback: true,
            "Deprecated: use --metrics-bind-address. 0: no server."
        ),
        ProxyFlag("vmodule", "pattern=N,...", "Levels for single files.", countsWithFile: true) { text, values in
            if !text.isEmpty { values.configuration.givenWithoutValue.insert("logging.vmodule") }
            return nil
        },
        logOption("log-json-split-stream", nil),
        logOption("log-json-info-buffer-size", "size"),
        logOption("log-text-split-stream", nil),
        logOption("log-text-info-buffer-size", "size"),
    ]

    /// One of `logging.options`, which change nothing.
    private static func logOption(_ name: String, _ valueName: String?) -> ProxyFlag {
        ProxyFlag(name, valueName, "No effect: there is one way to write log lines.", countsWithFile: true) {
            _,
            values in
            values.configuration.givenWithoutValue.insert("logging.options")
            return nil
        }
    }

    private static let fields: [ProxyFlag] = ConfigurationField.all.compactMap { field in
        guard let name = field.flag else { return nil }
        let (valueName, isList): (String?, Bool) =
            switch field.access {
            case .bool: (nil, false)
            case .integer, .real: ("number", false)
            case .duration: ("duration", false)
            case .address: ("ip:port", false)
            case .strings, .gates: ("list", true)
            case .string, .nothing: ("string", false)
            }
        var help = field.help
        if let unused = field.unused { help += " No effect: \(unused)." }
        let countsWithFile = field.path.hasPrefix("logging.") || field.path == "hostnameOverride"
        return ProxyFlag(name, valueName, help, countsWithFile: countsWithFile, isList: isList) { text, values in
            field.set(text, in: &values.configuration)
        }
    }

    /// By name.
    static let all: [ProxyFlag] = (own + fields).sorted { $0.name < $1.name }
}
