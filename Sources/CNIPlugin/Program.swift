// CNIPlugin: what `swiftlet` does when a runtime calls it. Each verb is a sequence over addresses (IPAM), links
// (PodNetwork) and records (ClusterClient), with one owner for undoing it. The protocol itself is CNI's business, what
// a pod's network looks like is PodNetwork's, which address it gets is IPAM's.

internal import CLinux
import CNI
import Glibc
import ServerTransport
import Version

/// One call of the plugin, from its arguments to its exit code.
public struct Program: Sendable {
    /// Under which name it was called.
    enum Role: String {
        /// The main plugin.
        case plugin = "swiftlet"
        /// The IPAM plugin of other main plugins.
        case ipam = "swiftlet-ipam"

        /// By the name of the file that was called.
        init(path: String) {
            self = path.split(separator: "/").last?.hasSuffix("-ipam") == true ? .ipam : .plugin
        }
    }

    let role: Role
    private let arguments: [String]
    private let environment: [String: String]

    /// The variables that mean something here. Asking for each is quicker than making a dictionary of all there are.
    private static let variables = [
        "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS", "CNI_NETNS_OVERRIDE",
        "FELIX_INTERFACEPREFIX",
    ]

    /// - Parameter arguments: the command line; the first element's file name decides which plugin this is.
    public init(arguments: [String]) {
        role = Role(path: arguments.first ?? "")
        self.arguments = Array(arguments.dropFirst())
        var environment: [String: String] = [:]
        for name in Self.variables {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        self.environment = environment
    }

    /// Does what was asked and ends the process.
    ///
    /// All of it is done on the calling thread. Were it an asynchronous main, that thread would end before the process
    /// does (dispatch_main, pthread_exit), upon which a static program sorts the unwind tables of all its functions:
    /// 9 ms, more than an ADD.
    public func runToExit() -> Never {
        // Threads are few and short-lived here; an arena for each would cost more than it saves.
        mallopt(M_ARENA_MAX, 1)
        ServerTransport.useOneThread()
        StandardStreams.reserve()
        let executor = CallingThreadExecutor()
        Task.detached(executorPreference: executor) { exit(await run()) }
        executor.run()
    }

    /// Does what was asked, with its answer on stdout (V8, V9), and returns the exit code.
    private func run() async -> Int32 {
        // A runtime that went away shows as a failed write, upon which ADD takes back what it did.
        signal(SIGPIPE, SIG_IGN)
        var environment = environment
        switch arguments.first {
        case nil: break
        case "VERSION": environment["CNI_COMMAND"] = Command.version.rawValue
        case "--version", "-v", "version":
            print("\(role.rawValue) \(swiftletVersion)")
            return 0
        case "--help", "-h", "help":
            print(about)
            return 0
        case let argument?:
            printError("\(role.rawValue): unknown argument \(argument.quoted)\n\n\(about)")
            return 2
        }
        guard environment["CNI_COMMAND"]?.isEmpty == false else {
            printError(about)
            return 0
        }
        return await answer(environment)
    }

    private func answer(_ environment: [String: String]) async -> Int32 {
        var version = SpecVersion.latest
        do throws(CNIError) {
            let invocation = try Invocation(environment: environment)
            if invocation.command == .status { Watchdog.startForStatus() } else { Watchdog.startForInput() }
            if invocation == .version {
                // V7: it may have been left open, as nothing has to be said there.
                let stdin = isatty(STDIN_FILENO) == 1 ? [] : StandardStreams.readInputInPassing()
                try StandardStreams.write(SpecVersion.reply(toStdin: stdin))
                return 0
            }
            let configuration = try NetworkConfiguration(try StandardStreams.readInput())
            version = configuration.cniVersion
            try configuration.require(invocation.command)
            try await perform(invocation, configuration, prefixes: environment["FELIX_INTERFACEPREFIX"])
            return 0
        } catch {
            return report(error, version)
        }
    }

    private func report(_ error: CNIError, _ version: SpecVersion) -> Int32 {
        // When stdout is gone there is nobody left to tell.
        try? StandardStreams.write(error.json(version: version))
        return 1
    }

    private var about: String {
        """
        \(role.rawValue) \(swiftletVersion): \(role == .plugin ? "CNI plugin" : "CNI plugin for IPAM") of Swiftlet
        A container runtime calls it with CNI_COMMAND and its siblings in the environment and the network configuration
        on stdin. For a person: --help, --version, VERSION.
        CNI_COMMAND is one of \(Command.allCases.map(\.rawValue).joined(separator: ", "))
        Exit status: 0 done; 1 an error, told as a JSON object on stdout; 2 the command line is wrong
        CNI protocol versions supported: \(SpecVersion.allCases.map(\.rawValue).joined(separator: ", "))
        """
    }

    private func printError(_ text: String) {
        var text = text + "\n"
        text.withUTF8 { bytes in _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    }
}
