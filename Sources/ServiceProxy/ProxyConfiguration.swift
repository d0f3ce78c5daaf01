import NetworkTypes

/// What the proxy was asked to do, checked (2.12).
public struct ProxyConfiguration: Hashable, Sendable {
    /// Trimmed and in lower case (1.6); never empty.
    public let nodeName: String
    public let source: Source
    /// The sources that are pods of this cluster, at most one prefix per family (1.8).
    public let clusterCIDRs: [IPFamily: CIDR]
    public let masqueradeAll: Bool
    public let nodePortAddresses: NodePortAddresses

    /// The bit of the packet mark that says "masquerade me", as kube-proxy has it by default: 0x4000.
    public static let masqueradeBit = 14

    /// Where objects come from.
    public enum Source: Hashable, Sendable {
        /// The files of this directory.
        case manifests(directory: String)
        case api(APIConnection)
    }

    /// How to reach the API server (2.12, `clientConnection`).
    public struct APIConnection: Hashable, Sendable {
        /// Without one, and without a master, the service account of the pod that this runs in counts.
        public var kubeconfig: String?
        /// The address of the API server; goes before that of the kubeconfig.
        public var master: String?
        /// Whether to ask for Kubernetes' protobuf; otherwise for JSON.
        public var prefersProtobuf: Bool
        /// Requests per second, on average; a negative number switches the limit off.
        public var qps: Double
        /// Requests that may go out at once.
        public var burst: Int
        /// Where what was last known is kept for a start without the API server; `nil` for nowhere.
        public var snapshot: String?
    }

    /// kube-proxy's content type by default.
    public static let protobufContentType = "application/vnd.kubernetes.protobuf"
    public static let defaultSnapshot = "/var/lib/swiftlet/proxy.snapshot"

    /// What stands on the command line, unchecked.
    public struct Arguments: Hashable, Sendable {
        public var manifests: String?
        public var kubeconfig: String?
        public var master: String?
        public var contentType: String
        public var qps: Double
        public var burst: Int
        public var snapshot: String
        public var proxyMode: String
        public var hostnameOverride: String
        public var clusterCIDR: String
        public var masqueradeAll: Bool
        /// Each may hold several, separated by commas.
        public var nodePortAddresses: [String]

        public init(
            manifests: String? = nil,
            kubeconfig: String? = nil,
            master: String? = nil,
            contentType: String = ProxyConfiguration.protobufContentType,
            qps: Double = 5,
            burst: Int = 10,
            snapshot: String = ProxyConfiguration.defaultSnapshot,
            proxyMode: String = "",
            hostnameOverride: String = "",
            clusterCIDR: String = "",
            masqueradeAll: Bool = false,
            nodePortAddresses: [String] = []
        ) {
            self.manifests = manifests
            self.kubeconfig = kubeconfig
            self.master = master
            self.contentType = contentType
            self.qps = qps
            self.burst = burst
            self.snapshot = snapshot
            self.proxyMode = proxyMode
            self.hostnameOverride = hostnameOverride
            self.clusterCIDR = clusterCIDR
            self.masqueradeAll = masqueradeAll
            self.nodePortAddresses = nodePortAddresses
        }
    }

    /// Everything that is wrong, one line each.
    public struct Invalid: Error, Hashable, CustomStringConvertible {
        public let problems: [String]

        public var description: String { problems.joined(separator: "\n") }
    }

    /// - Parameters:
    ///   - hostName: what the operating system calls this node.
    ///   - manifestProblem: says why a path is no manifest directory, or `nil` when it is one.
    public init(
        _ arguments: Arguments,
        hostName: String,
        manifestProblem: (String) -> String? = { _ in nil }
    ) throws(Invalid) {
        var problems: [String] = []
        if !["", "nftables"].contains(arguments.proxyMode) {
            problems.append("--proxy-mode: \"\(arguments.proxyMode)\" is not supported; the only mode is nftables")
        }

        let name = (arguments.hostnameOverride.isEmpty ? hostName : arguments.hostnameOverride).trimmed.lowercased()
        if name.isEmpty { problems.append("--hostname-override: the name of the node is empty") }
        nodeName = name

        source = Self.source(arguments, manifestProblem, &problems)

        clusterCIDRs = Self.clusterCIDRs(arguments.clusterCIDR, &problems)
        masqueradeAll = arguments.masqueradeAll
        nodePortAddresses = NodePortAddresses(arguments.nodePortAddresses, &problems)
        guard problems.isEmpty else { throw Invalid(problems: problems) }
    }

    private static func source(
        _ arguments: Arguments,
        _ manifestProblem: (String) -> String?,
        _ problems: inout [String]
    ) -> Source {
        let kubeconfig = arguments.kubeconfig.nonEmpty
        let master = arguments.master.nonEmpty
        if let manifests = arguments.manifests {
            if kubeconfig != nil || master != nil {
                problems.append(
                    "--manifests: cannot be combined with --kubeconfig or --master; give one source of objects"
                )
            } else if manifests.isEmpty {
                problems.append("--manifests: the name of the directory is empty")
            } else if let problem = manifestProblem(manifests) {
                problems.append("--manifests: \(manifests): \(problem)")
            }
            return .manifests(directory: manifests)
        }
        let known = ["", protobufContentType, "application/json"]
        if !known.contains(arguments.contentType) {
            problems.append(
                "--kube-api-content-type: \"\(arguments.contentType)\" is neither \(known[1]) nor \(known[2])"
            )
        }
        if arguments.burst < 0 { problems.append("--kube-api-burst: \(arguments.burst) is less than 0") }
        if !arguments.snapshot.isEmpty, !arguments.snapshot.hasPrefix("/") {
            problems.append("--snapshot: \"\(arguments.snapshot)\" is not an absolute path")
        }
        return .api(
            APIConnection(
                kubeconfig: kubeconfig,
                master: master,
                prefersProtobuf: arguments.contentType != known[2],
                qps: arguments.qps == 0 ? 5 : arguments.qps,
                burst: arguments.burst == 0 ? 10 : arguments.burst,
                snapshot: arguments.snapshot.isEmpty ? nil : arguments.snapshot
            )
        )
    }

    private static func clusterCIDRs(_ text: String, _ problems: inout [String]) -> [IPFamily: CIDR] {
        guard !text.isEmpty else { return [:] }
        var prefixes: [IPFamily: CIDR] = [:]
        for entry in text.split(separator: ",", omittingEmptySubsequences: false).map({ String($0).trimmed }) {
            guard let prefix = CIDR(entry) else {
                problems.append("--cluster-cidr: \"\(entry)\" is not a CIDR")
                continue
            }
            guard prefixes.updateValue(prefix.masked, forKey: prefix.family) == nil else {
                problems.append(
                    "--cluster-cidr: more than one \(prefix.family) prefix; give one, or one of each family"
                )
                break
            }
        }
        return prefixes
    }

    public var planner: ServicePlanner {
        ServicePlanner(masqueradeAll: masqueradeAll, familiesWithLocalDetection: Set(clusterCIDRs.keys))
    }
}

extension ProxyConfiguration {
    /// Makes a command line that kube-proxy understands one that a parser of flags without values does: Go accepts
    /// `--flag=true` and `--flag=false` for them.
    public static func withoutBooleanValues(_ arguments: [String], flags: Set<String>) -> [String] {
        var result: [String] = []
        for (index, argument) in arguments.enumerated() {
            guard argument != "--" else { return result + arguments[index...] }
            guard let equals = argument.firstIndex(of: "="), flags.contains(String(argument[..<equals])) else {
                result.append(argument)
                continue
            }
            switch argument[argument.index(after: equals)...].lowercased() {
            case "true", "1", "t": result.append(String(argument[..<equals]))
            case "false", "0", "f": break
            default: result.append(argument)  // For the parser to complain about.
            }
        }
        return result
    }
}

extension String? {
    fileprivate var nonEmpty: String? { flatMap { $0.isEmpty ? nil : $0 } }
}

extension String {
    var trimmed: String {
        let start = drop(while: \.isWhitespace)
        return String(start[..<(start.lastIndex { !$0.isWhitespace }.map { start.index(after: $0) } ?? start.endIndex)])
    }
}

extension ProxyConfiguration.Source: CustomStringConvertible {
    public var description: String {
        switch self {
        case .manifests(let directory): "manifests in \(directory)"
        case .api(let connection):
            "API of \(connection.master ?? connection.kubeconfig ?? "the cluster that this pod runs in")"
        }
    }
}
