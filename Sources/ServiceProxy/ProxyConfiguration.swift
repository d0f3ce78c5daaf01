import NetworkTypes

/// What the proxy was asked to do, checked (2.12).
public struct ProxyConfiguration: Hashable, Sendable {
    /// Trimmed and in lower case (1.6); never empty.
    public let nodeName: String
    /// The directory that objects come from.
    public let manifests: String
    /// The sources that are pods of this cluster, at most one prefix per family (1.8).
    public let clusterCIDRs: [IPFamily: CIDR]
    public let masqueradeAll: Bool
    public let nodePortAddresses: NodePortAddresses

    /// The bit of the packet mark that says "masquerade me", as kube-proxy has it by default: 0x4000.
    public static let masqueradeBit = 14

    /// What stands on the command line, unchecked.
    public struct Arguments: Hashable, Sendable {
        public var manifests: String?
        public var proxyMode: String
        public var hostnameOverride: String
        public var clusterCIDR: String
        public var masqueradeAll: Bool
        /// Each may hold several, separated by commas.
        public var nodePortAddresses: [String]

        public init(
            manifests: String? = nil,
            proxyMode: String = "",
            hostnameOverride: String = "",
            clusterCIDR: String = "",
            masqueradeAll: Bool = false,
            nodePortAddresses: [String] = []
        ) {
            self.manifests = manifests
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

        let manifests = arguments.manifests ?? ""
        if manifests.isEmpty {
            problems.append("--manifests: a directory of manifests is needed, as there is no other source of objects")
        } else if let problem = manifestProblem(manifests) {
            problems.append("--manifests: \(manifests): \(problem)")
        }
        self.manifests = manifests

        clusterCIDRs = Self.clusterCIDRs(arguments.clusterCIDR, &problems)
        masqueradeAll = arguments.masqueradeAll
        nodePortAddresses = NodePortAddresses(arguments.nodePortAddresses, &problems)
        guard problems.isEmpty else { throw Invalid(problems: problems) }
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

extension String {
    var trimmed: String {
        let start = drop(while: \.isWhitespace)
        return String(start[..<(start.lastIndex { !$0.isWhitespace }.map { start.index(after: $0) } ?? start.endIndex)])
    }
}
