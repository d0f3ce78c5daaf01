import Netlink

/// A proxy that is measured.
struct Contestant: Sendable {
    let name: String
    /// The words of the command, as far as they are known before the cluster is.
    private let words: @Sendable (_ kubeconfig: String, _ directory: String) -> [String]

    /// The Node that the proxy runs on.
    static let node = "node-0"

    /// - Parameter mode: of the proxy; `nil` for the one that it takes by itself.
    static func swiftlet(_ program: String, mode: String? = nil) -> Contestant {
        Contestant(name: "swiftlet-proxy") { kubeconfig, directory in
            [
                program, "--kubeconfig", kubeconfig, "--hostname-override", node, "--cluster-cidr",
                BenchNetwork.clusterCIDR, "--snapshot", "\(directory)/proxy.snapshot",
            ] + (mode.map { ["--proxy-mode", $0, "--iptables-min-sync-period", "0s"] } ?? [])
        }
    }

    /// - Parameter command: for a shell, with placeholders.
    static func peer(_ command: String) -> Contestant {
        let name = command.split(separator: " ").first.map { $0.split(separator: "/").last.map(String.init) ?? command }
        return Contestant(name: name ?? "peer") { kubeconfig, directory in
            var text = command
            for (placeholder, value) in [
                "{kubeconfig}": kubeconfig, "{node}": node, "{clusterCIDR}": BenchNetwork.clusterCIDR,
                "{directory}": directory,
            ] { text = text.replacing(placeholder, with: value) }
            return ["sh", "-c", "exec \(text)"]
        }
    }

    func start(in namespace: NetworkNamespace, kubeconfig: String, directory: String) throws -> BenchProcess {
        try BenchProcess(words(kubeconfig, directory), in: namespace, log: "\(directory)/\(name).log")
    }
}
