internal import CLinux
import Glibc
import ServiceProxy
import Version

/// The program: its command line, its one-shot tasks, and its exit code.
@main
enum SwiftletProxy {
    private static let help = """
        OVERVIEW: Makes Services work on this node: translates their addresses to their endpoints with nftables or
        iptables, or passes connections on itself.

        USAGE: swiftlet-proxy [flags]

        Runs in the foreground, one per node, and logs to the standard error output.
        It reads Services, EndpointSlices (or Endpoints, where there are no slices),
        ServiceCIDRs and its own Node, and keeps the nftables tables "ip swiftlet" and
        "ip6 swiftlet", or chains of iptables, in accord with them. Rules of other
        programs are not touched without --replace-kube-proxy. Nothing is written before
        all objects are known. For rules it needs CAP_NET_ADMIN in the network namespace of
        the node, and Linux 5.13 or the tools of iptables.

        MODES
          --proxy-mode nftables, iptables or userspace; without it, the first of them that
          this kernel and these rights allow, and the log says which and why. iptables
          mode has the chains of kube-proxy (KUBE-SERVICES, KUBE-SVC-...), and beside them
          SWIFTLET-CANARY, by which it knows its own. It runs iptables-nft-restore or
          iptables-legacy-restore, whichever the node uses. What the proxy left in another
          mode is removed when the rules of the new one are in place.

          userspace mode needs neither rules nor rights: the proxy listens on the addresses
          of Services, which it puts on the interface swiftlet-svc or on loopback, and passes
          connections and datagrams on. Without CAP_NET_ADMIN it serves node ports, and the
          Services of --userspace-ports on --userspace-listen. Annotations of a Service
          choose how its clients are spread (swiftlet.io/load-balancing: random,
          round-robin, least-connections or maglev), and ask for the PROXY protocol
          (swiftlet.io/proxy-protocol: v2). When the proxy ends, so do these connections.

        THE API SERVER
          Without --manifests, objects come from the Kubernetes API: the server and the
          credentials of --kubeconfig, or the service account of the pod that the proxy
          runs in. They are read again when their files change. Several servers may be
          named, separated by commas; the proxy goes on with another when one is away.
          While the server is away, what was last known stays programmed; and since that
          is kept in the file --snapshot too, a node that starts meanwhile has Services.

        THE NODE
          The Node that has the name of this host, or that of --hostname-override, says
          where node ports are served and which zone this is; with --detect-local-mode
          NodeCIDR also where pods are. With an API server the proxy waits up to 30
          seconds for it to have an address, then goes on without; with NodeCIDR it
          waits 5 minutes more for spec.podCIDRs, and then ends. Changes of the Node are
          followed at once. While the Node is deleted, being deleted, or tainted with
          ToBeDeletedByClusterAutoscaler, /healthz answers 503.

        CONFIGURATION
          --config takes a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) in
          YAML or JSON. Of the flags, only those of logging, --hostname-override,
          --master, --cleanup, --init-only, --write-config-to, --manifests, --snapshot,
          --replace-kube-proxy, --socket, --connection-counters and those that begin with
          --userspace- count beside it. What has no effect is named in the log. The file
          is followed, through links too. A change of logging.verbosity,
          nftables.syncPeriod, nftables.minSyncPeriod, nodePortAddresses, or of what has
          no effect, is taken within some seconds; in iptables mode iptables.syncPeriod
          and iptables.minSyncPeriod count in the place of those of nftables. Any other
          change ends the process with status 1 and the names of the fields, so that its
          supervisor starts it again; its rules stay meanwhile. A file that cannot be
          used is named in the log and changes nothing, and so does one that is removed.

        WHAT TO LOOK AT
          /healthz and /livez (port 10256 of all addresses) say whether changes are
          programmed in time; /healthz also whether the node may get traffic. A Service
          of type LoadBalancer with externalTrafficPolicy Local is answered for on its
          healthCheckNodePort. On 127.0.0.1, port 10249: /metrics, /metrics/slis,
          /healthz, /configz, /flagz, /statusz and /proxyMode, as kube-proxy has them; with
          --profiling, PUT a number to /debug/flags/v to change the verbosity of the log.
          Events tell of faults on the Node or Service: an address that an older Service
          has, one that the kernel refused (and when it works again), a port that is
          taken. With --manifests they are lines of the log alone.

        MANIFESTS
          Every *.yaml, *.yml and *.json file of the directory is read: several
          documents per file, lists too. An object without a namespace is in
          "default"; kinds other than those above are passed over. A change is
          picked up when a file is closed by its writer or moved into place. A file
          that cannot be used is reported with line and reason, and the objects of
          its last good version stay. An object that two files define is taken from
          the first of them by name.

        CONNECTION TRACKING
          At the start the kernel's settings of connection tracking are written where they
          differ from the --conntrack-... flags. One that cannot be written is named in a
          warning with what to do about it, and the proxy goes on. UDP flows to endpoints
          that serve no longer, and to addresses and node ports that are gone, are removed
          from the kernel's table, so that their clients are served anew; TCP connections
          are never cut.

        LOOKING INSIDE
          "swiftletctl proxy show" lists the Services as they are programmed, and
          "swiftletctl proxy trace" tells what would happen to a packet, and why. They
          ask the proxy on the Unix socket --socket, /run/swiftlet/proxy.sock by
          default, which only the user of the proxy may use. When another process has
          that socket, the proxy says so in its log, works without, and tries again.

        SIGNALS
          SIGTERM and SIGINT end the proxy within a second. Its rules stay, so that
          connections and Services keep working; the next start takes them over and
          changes only what differs.

        EXIT STATUS
          0  ended by a signal, or --cleanup, --init-only, --write-config-to, --help or
             --version did their work
          1  any error: a wrong command line or configuration, no permission, a kernel
             that will not do, rules that stayed, a configuration file that changed in a
             way that cannot be followed, no spec.podCIDRs where they are needed, a server
             without its address with --bind-address-hard-fail

        ENVIRONMENT
          KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK: when set to anything, an older
          kernel is tried too.

        EXAMPLES
          swiftlet-proxy --kubeconfig /etc/swiftlet/proxy.kubeconfig \\
            --cluster-cidr 10.80.0.0/16
          swiftlet-proxy --manifests /etc/swiftlet/services \\
            --cluster-cidr 10.80.0.0/16,fd80::/48
          swiftlet-proxy --cleanup

        FLAGS
        \(ProxyCommandLine.flagsHelp)

        """

    static func main() async {
        keepMemoryTogether()
        do {
            try await run(Array(CommandLine.arguments.dropFirst()))
        } catch {
            StandardStreams.write("Error: \(error)\n", toErrors: true)
            Glibc.exit(1)  // Every error is 1, as with kube-proxy (2.12).
        }
    }

    /// Threads here wait for each other more than for memory. Arenas of their own would hold a third more of it; and what
    /// is large and short-lived, as an answer of the API server, is to go back to the system.
    private static func keepMemoryTogether() {
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, 256 << 10)
        mallopt(M_TRIM_THRESHOLD, 256 << 10)
    }

    private static func run(_ arguments: [String]) async throws {
        let commandLine = try ProxyCommandLine(arguments)
        var values = commandLine.values
        if values.help { return StandardStreams.write(help, toErrors: false) }
        if values.version { return StandardStreams.write("swiftlet-proxy \(swiftletVersion)\n", toErrors: false) }

        var remarks: [String] = []
        var configurationFile: ConfigurationFile?
        if let path = values.configurationFile.flatMap({ $0.isEmpty ? nil : $0 }) {
            let file = try ConfigurationFile(path)
            configurationFile = file
            let reading = try file.read()
            remarks += reading.lenientBecause.map { "\(path): \($0); it is passed over" }
            remarks += commandLine.ignoredWithFile.map { "\($0) does not count beside --config" }
            values = commandLine.values(with: reading.configuration)
        }
        if let path = values.writeConfigurationTo {
            return try ConfigurationFile.write(values.configuration, to: path)
        }
        let log = ProxyLog(values.configuration.logging)
        if values.cleanup {
            try requirePermission(to: "remove rules")
            return try await ProxyDaemon.cleanUp(log)
        }
        var configuration = try ProxyConfiguration(
            values,
            hostName: LocalNode.hostName,
            manifestProblem: ProxyDaemon.problem(withManifests:)
        )
        for remark in remarks { log.logger.warning("\(remark)") }
        let mode = try await AvailableMode.find(configuration.wantedMode, logger: log.logger)
        configuration.mode = mode.mode
        for remark in values.configuration.warnings(in: mode.mode) { log.logger.warning("\(remark)") }
        if values.initOnly {
            guard mode.mode.writesRules else {
                return log.logger.info(
                    "the configuration is valid; userspace mode has no rules, and needs nothing else"
                )
            }
            configuration.letLoopbackThrough(logger: log.logger)
            configuration.conntrack.apply(logger: log.logger)
            return log.logger.info("the configuration is valid, and the kernel takes our rules; no rule was changed")
        }
        let running = RunningConfiguration(commandLine, values, configuration, log)
        try await ProxyDaemon(configuration, mode, running, configurationFile, log).run()
    }

    private static func requirePermission(to purpose: String) throws {
        guard !LocalNode.mayAdministerNetwork else { return }
        throw Failure(description: "swiftlet-proxy must be root (or have CAP_NET_ADMIN) to \(purpose)")
    }

    /// What a person reads.
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
