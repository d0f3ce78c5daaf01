import FoundationEssentials
import NetworkTypes
import Subprocesses

/// Where the tools of iptables keep rules: two places that know nothing of each other.
public enum IPTablesFlavour: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// In tables of nftables.
    case nft
    /// In the kernel's own tables.
    case legacy
    /// Whatever `iptables` means on this node; only where the tools have no names of their own.
    case unnamed

    /// The name of the program, to which `-save` and `-restore` are added.
    public func program(_ family: IPFamily) -> String {
        let name = family == .ipv4 ? "iptables" : "ip6tables"
        return self == .unnamed ? name : "\(name)-\(rawValue)"
    }

    public var description: String { self == .unnamed ? "iptables" : "iptables-\(rawValue)" }
}

/// Why iptables did not do what it was told.
public enum IPTablesError: Error, Hashable, CustomStringConvertible {
    case missing(String)
    /// Another program has held the lock for all the time that was waited.
    case locked(String, seconds: Int)
    case failed(String, reason: String)
    /// The chains are not of this proxy.
    case foreign(String)

    public var description: String {
        switch self {
        case .missing(let program): "\(program) is not installed: install iptables, or use another --proxy-mode"
        case .locked(let program, let seconds):
            "\(program) waited \(seconds) s for the xtables lock, which another program holds (/run/xtables.lock)"
        case .failed(let program, let reason): "\(program): \(reason)"
        case .foreign(let where_):
            "the KUBE- chains in \(where_) are of another proxy: stop kube-proxy on this node, and either remove them "
                + "(kube-proxy --cleanup) or have them taken over (--replace-kube-proxy)"
        }
    }
}

/// Runs the tools of one flavour, in the network namespace of this process if nothing else is said.
public struct IPTablesTools: Sendable {
    public let flavour: IPTablesFlavour
    /// How long the lock of iptables is waited for, in seconds.
    let lockWait: Int
    /// What is put before each command, as `nsenter` with its options.
    let prefix: [String]

    /// How long a run may take besides, in seconds: the first one of a large cluster takes its time.
    private static let patience = 600

    public init(_ flavour: IPTablesFlavour, lockWait: Int = 5, prefix: [String] = []) {
        self.flavour = flavour
        self.lockWait = lockWait
        self.prefix = prefix
    }

    /// What `iptables-save` says, of all tables if none is named.
    func save(_ family: IPFamily, _ table: RuleTable? = nil) async throws(IPTablesError) -> String {
        try await run("\(flavour.program(family))-save", table.map { ["-t", $0.rawValue] } ?? [], keepsErrors: false)
    }

    /// Carries out a script: all of it or nothing.
    ///
    /// - Parameter isTest: whether to do all but write.
    /// - Returns: whether it had to wait for the lock.
    @discardableResult
    func restore(
        _ script: RestoreScript,
        _ family: IPFamily,
        isTest: Bool = false
    ) async throws(IPTablesError) -> Bool {
        guard !script.isEmpty else { return false }
        return try await restore(script.text, family, isTest: isTest)
    }

    /// - Parameter text: of any tables.
    @discardableResult
    func restore(_ text: String, _ family: IPFamily, isTest: Bool = false) async throws(IPTablesError) -> Bool {
        // Not -W too: newer tools say that they ignore it, older ones look every second without it.
        let output = try await run(
            "\(flavour.program(family))-restore",
            ["--noflush", "--wait", "\(lockWait)"] + (isTest ? ["--test"] : []),
            input: Array(text.utf8)
        )
        return Self.tellsOfLock(output)
    }

    private static func tellsOfLock(_ output: String) -> Bool {
        output.split(separator: "\n").contains { $0.hasPrefix("Another app is currently holding the xtables lock") }
    }

    /// How the tools say, with status 1, that there is no such chain: the second is of some versions on nftables.
    private static let noChain = ["No chain/target/match by that name", "is incompatible, use 'nft' tool"]

    /// The rules of a chain; `nil` when there is no such chain.
    ///
    /// - Throws: when it cannot be told.
    func rules(of chain: String, in table: RuleTable, _ family: IPFamily) async throws(IPTablesError) -> String? {
        do throws(IPTablesError) {
            return try await run(
                flavour.program(family),
                ["--wait", "\(lockWait)", "-t", table.rawValue, "-S", chain]
            )
        } catch {
            if case .failed(_, let reason) = error, Self.noChain.contains(where: { reason.contains($0) }) { return nil }
            throw error
        }
    }

    private func run(
        _ program: String,
        _ arguments: [String],
        input: [UInt8]? = nil,
        keepsErrors: Bool = true
    ) async throws(IPTablesError) -> String {
        var environment = ProcessInfo.processInfo.environment
        environment["PATH"] = "/usr/sbin:/sbin:/usr/bin:/bin:\(environment["PATH"] ?? "")"
        environment["LC_ALL"] = "C"
        let words = prefix + [program] + arguments
        let ending: Subprocess.Ending
        do throws(Subprocess.Failure) {
            ending = try await Subprocess(
                command: words[0],
                arguments: Array(words.dropFirst()),
                environment: environment,
                input: input,
                timeout: .seconds(lockWait + Self.patience),
                outputLimit: 512 << 20,
                errors: keepsErrors ? .kept : .discarded
            ).end()
        } catch {
            switch error {
            case .notFound: throw .missing(program)
            case .timeout: throw .failed(program, reason: "did not end in \(lockWait + Self.patience) s and was killed")
            case .signal(let signal): throw .failed(program, reason: "was ended by signal \(signal)")
            case .status(let status): throw .failed(program, reason: "ended with status \(status)")
            case .notStarted(let reason): throw .failed(program, reason: "cannot be started: \(reason)")
            case .tooMuchOutput: throw .failed(program, reason: "printed more than 512 MiB")
            }
        }
        let output = String(decoding: ending.output, as: UTF8.self)
        guard ending.status != 0 else { return output }
        // nsenter ends so when there is no such program.
        if ending.status == 127, !prefix.isEmpty { throw .missing(program) }
        if Self.tellsOfLock(output) { throw .locked(program, seconds: lockWait) }
        let lines = output.split(whereSeparator: \.isNewline).map { $0.prefix(300) }
            .filter { !$0.hasPrefix("#") && !$0.hasPrefix("Try `") && !$0.isEmpty }
        throw .failed(
            program,
            reason: lines.isEmpty ? "ended with status \(ending.status)" : lines.suffix(4).joined(separator: "; ")
        )
    }
}
