import ArgumentParser
import Glibc
import ServiceProxy
import Version

/// The command line of `swiftlet-proxy`: what is given, its checks, and the exit code.
@main
struct SwiftletProxy: AsyncParsableCommand {

    static let configuration = CommandConfiguration(
        commandName: "swiftlet-proxy",
        abstract: "Makes Services work on this node: translates their addresses to their endpoints with nftables.",
        discussion: """
            Runs in the foreground, one per node, and logs to the standard error output.
            It reads Services, EndpointSlices (or Endpoints, where a Service has no
            slices) and its own Node, and keeps the nftables tables "ip swiftlet" and
            "ip6 swiftlet" in accord with them. Rules of other programs are not touched.
            Nothing is written before all objects are known. It needs CAP_NET_ADMIN in
            the network namespace of the node.

            THE API SERVER
              Without --manifests, objects come from the Kubernetes API: the server and the
              credentials of --kubeconfig, or the service account of the pod that the proxy
              runs in. They are read again when their files change. Several servers may be
              named, separated by commas; the proxy goes on with another when one is away.
              While the server is away, what was last known stays programmed; and since that
              is kept in the file --snapshot too, a node that starts meanwhile has Services.

            MANIFESTS
              Every *.yaml, *.yml and *.json file of the directory is read: several
              documents per file, lists too. An object without a namespace is in
              "default"; kinds other than those above are passed over. A change is
              picked up when a file is closed by its writer or moved into place. A file
              that cannot be used is reported with line and reason, and the objects of
              its last good version stay. An object that two files define is taken from
              the first of them by name.

            SIGNALS
              SIGTERM and SIGINT end the proxy within a second. Its rules stay, so that
              connections and Services keep working; the next start takes them over and
              changes only what differs.

            EXIT STATUS
              0  ended by a signal, or --cleanup, --help or --version did their work
              1  any error: a wrong command line, no permission, rules that stayed

            EXAMPLES
              swiftlet-proxy --kubeconfig /etc/swiftlet/proxy.kubeconfig \\
                --cluster-cidr 10.80.0.0/16
              swiftlet-proxy --manifests /etc/swiftlet/services \\
                --cluster-cidr 10.80.0.0/16,fd80::/48
              swiftlet-proxy --cleanup
            """,
        version: "swiftlet-proxy \(swiftletVersion)"
    )

    @Option(
        help: ArgumentHelp(
            "Take objects from the manifest files in this directory, and follow their changes.",
            valueName: "dir"
        )
    )
    var manifests: String?

    @Option(
        help: ArgumentHelp(
            "The kubeconfig file that says where the API server is, and who the proxy is. (default: in-cluster)",
            valueName: "file"
        )
    )
    var kubeconfig: String?

    @Option(
        help: ArgumentHelp("The address of the API server; goes before that of the kubeconfig.", valueName: "url")
    )
    var master: String?

    @Option(
        name: .customLong("kube-api-content-type"),
        help: ArgumentHelp(
            "How the API server is to encode objects: Kubernetes' protobuf, or application/json.",
            valueName: "type"
        )
    )
    var contentType = ProxyConfiguration.protobufContentType

    @Option(
        name: .customLong("kube-api-qps"),
        help: ArgumentHelp(
            "Requests per second to the API server, on average; negative: no limit.",
            valueName: "number"
        )
    )
    var qps = 5.0

    @Option(
        name: .customLong("kube-api-burst"),
        help: ArgumentHelp("Requests to the API server that may go out at once.", valueName: "number")
    )
    var burst = 10

    @Option(
        help: ArgumentHelp(
            """
            Keep what the API server said last in this file, for a start while it is away; an empty name keeps nothing.
            """,
            valueName: "file"
        )
    )
    var snapshot = ProxyConfiguration.defaultSnapshot

    @Option(help: ArgumentHelp("How to program the node; nftables is the only way.", valueName: "mode"))
    var proxyMode = ""

    @Option(
        help: ArgumentHelp(
            "The name of this node, as in nodeName of endpoints. (default: the host name)",
            valueName: "name"
        )
    )
    var hostnameOverride = ""

    @Option(
        name: .customLong("cluster-cidr"),
        help: ArgumentHelp(
            """
            The addresses of pods: one CIDR, or one of each family separated by a comma. Traffic to cluster IPs that \
            comes from elsewhere is masqueraded. Without it, none is.
            """,
            valueName: "cidr"
        )
    )
    var clusterCIDR = ""

    @Flag(help: "Masquerade all traffic to cluster IPs, that of pods included.")
    var masqueradeAll = false

    @Option(
        name: .customLong("nodeport-addresses"),
        help: ArgumentHelp(
            """
            Where node ports are served: CIDRs, separated by commas, of which the node's own addresses count; or \
            "primary", the addresses of the Node object. A family without a CIDR, or without a primary address, is \
            served on all addresses; loopback addresses never are. (default: primary)
            """,
            valueName: "cidrs"
        )
    )
    var nodePortAddresses: [String] = []

    @Flag(
        help: """
            Remove everything that the proxy ever programmed on this node, in both families, and exit.
            """
    )
    var cleanup = false

    @Option(
        name: [.customShort("v"), .customLong("v")],
        help: ArgumentHelp(
            "How much to log: 0 what an operator should know, 2 every commit, 4 everything.",
            valueName: "level"
        )
    )
    var verbosity = 0

    private static let flags: Set<String> = ["--masquerade-all", "--cleanup", "--version", "--help"]

    static func main() async {
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            var command = try parseAsRoot(ProxyConfiguration.withoutBooleanValues(arguments, flags: flags))
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            // Every error is 1, as with kube-proxy (2.12); the parser would tell some apart.
            let isAnswer = exitCode(for: error).isSuccess
            let text = isAnswer ? message(for: error) : fullMessage(for: error)
            Array("\(text)\n".utf8).withUnsafeBytes { bytes in
                _ = write(isAnswer ? STDOUT_FILENO : STDERR_FILENO, bytes.baseAddress, bytes.count)
            }
            Glibc.exit(isAnswer ? 0 : 1)
        }
    }

    func run() async throws {
        let logging = ProxyLog(verbosity: verbosity)
        if cleanup {
            try requirePermission(to: "remove nftables rules")
            return try await ProxyDaemon.cleanUp(logging)
        }
        let configuration: ProxyConfiguration
        do {
            configuration = try ProxyConfiguration(
                ProxyConfiguration.Arguments(
                    manifests: manifests,
                    kubeconfig: kubeconfig,
                    master: master,
                    contentType: contentType,
                    qps: qps,
                    burst: burst,
                    snapshot: snapshot,
                    proxyMode: proxyMode,
                    hostnameOverride: hostnameOverride,
                    clusterCIDR: clusterCIDR,
                    masqueradeAll: masqueradeAll,
                    nodePortAddresses: nodePortAddresses
                ),
                hostName: LocalNode.hostName,
                manifestProblem: ProxyDaemon.problem(withManifests:)
            )
        } catch {
            throw Failure(description: error.description)
        }
        try requirePermission(to: "program nftables rules")
        try await ProxyDaemon(configuration, logging).run()
    }

    private func requirePermission(to purpose: String) throws {
        guard !LocalNode.mayAdministerNetwork else { return }
        throw Failure(description: "swiftlet-proxy must be root (or have CAP_NET_ADMIN) to \(purpose)")
    }

    /// What a person reads, and no usage after it.
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
