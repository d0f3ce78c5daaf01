import FoundationEssentials
import JSON
import KubernetesAPI
import ServerTransport
import Subprocesses
import Synchronization

/// What a credential plugin gave, until it expires or is refused. The plugin runs once, however many wait for it.
final class PluginCache: Sendable {
    private let plugin: ExecPlugin
    private let configuration: KubernetesConfiguration
    private let state = Mutex(State())

    private struct State {
        var credential: PluginCredential?
        var run: Task<Result<PluginCredential, PluginFailure>, Never>?
    }

    /// How long a plugin may take; it may have to ask somebody over the network.
    static let timeLimit: Duration = .seconds(60)
    private static let outputLimit = 1 << 20

    init(_ plugin: ExecPlugin, _ configuration: KubernetesConfiguration) {
        self.plugin = plugin
        self.configuration = configuration
    }

    func credential(within timeout: Duration) async throws(PluginFailure) -> PluginCredential {
        let (known, run) = state.withLock { state in
            if let credential = state.credential, credential.expires.map({ $0 > .now }) ?? true {
                return (credential as PluginCredential?, nil as Task<Result<PluginCredential, PluginFailure>, Never>?)
            }
            let run = state.run ?? Task { await self.run(within: min(timeout, Self.timeLimit)) }
            state.run = run
            return (nil, run)
        }
        if let known { return known }
        guard let run else { throw PluginFailure("it was not run") }
        return try await run.value.get()
    }

    /// Takes back what a server refused, unless there is something newer already.
    func forget(_ authorization: String?, _ identity: TLSSettings.ClientIdentity?) {
        state.withLock { state in
            guard let credential = state.credential else { return }
            let isToken = credential.token != nil && credential.token?.header == authorization
            let isIdentity = credential.identity != nil && credential.identity == identity
            if isToken || isIdentity { state.credential = nil }
        }
    }

    private func run(within timeout: Duration) async -> Result<PluginCredential, PluginFailure> {
        let result: Result<PluginCredential, PluginFailure>
        do throws(PluginFailure) {
            let output = try await print(within: timeout)
            result = .success(try PluginCredential(parsing: output, apiVersion: plugin.apiVersion))
        } catch {
            result = .failure(PluginFailure("the credential plugin \(plugin.command): \(error.reason)"))
        }
        state.withLock { state in
            state.run = nil
            if case .success(let credential) = result { state.credential = credential }
        }
        return result
    }

    private func print(within timeout: Duration) async throws(PluginFailure) -> [UInt8] {
        var environment = ProcessInfo.processInfo.environment
        for variable in plugin.environment { environment[variable.name] = variable.value }
        environment["KUBERNETES_EXEC_INFO"] = try information()
        let program = Subprocess(
            command: plugin.command,
            arguments: plugin.arguments,
            environment: environment,
            timeout: timeout,
            outputLimit: Self.outputLimit
        )
        do throws(Subprocess.Failure) {
            return try await program.run()
        } catch {
            switch error {
            case .notFound:
                let hint = plugin.installHint.map { ": \($0)" } ?? "; install it, or correct user.exec.command"
                throw PluginFailure("there is no such program\(hint)")
            case .notStarted(let reason): throw PluginFailure("it cannot be started: \(reason)")
            case .timeout: throw PluginFailure("it did not end in time and was killed")
            case .tooMuchOutput: throw PluginFailure("it printed more than \(Self.outputLimit) bytes and was killed")
            case .status(let status):
                throw PluginFailure("it ended with status \(status); run it by hand to see what it says")
            case .signal(let signal): throw PluginFailure("it was ended by signal \(signal)")
            }
        }
    }

    /// KUBERNETES_EXEC_INFO: what a plugin is told.
    func information() throws(PluginFailure) -> String {
        var spec = JSONObject([("interactive", false)])
        if plugin.providesClusterInfo { spec["cluster"] = .object(try cluster()) }
        let information: JSONValue = [
            "apiVersion": .string(plugin.apiVersion), "kind": "ExecCredential", "spec": .object(spec),
        ]
        return information.text()
    }

    private func cluster() throws(PluginFailure) -> JSONObject {
        var cluster = JSONObject([("server", .string(configuration.servers.first?.description ?? ""))])
        if let name = configuration.serverName { cluster["tls-server-name"] = .string(name) }
        if !configuration.verifiesServer { cluster["insecure-skip-tls-verify"] = true }
        if let proxy = configuration.proxy { cluster["proxy-url"] = .string("\(proxy)") }
        switch configuration.certificateAuthority {
        case nil: break
        case .data(let bytes): cluster["certificate-authority-data"] = .string(Data(bytes).base64EncodedString())
        case .file(let path):
            var file = WatchedFile(path)
            do throws(WatchedFile.Unreadable) {
                cluster["certificate-authority-data"] =
                    .string(Data(try file.read(now: .now)).base64EncodedString())
            } catch {
                throw PluginFailure("the certificate authority file \(path) cannot be read: \(error.reason)")
            }
        }
        if let text = plugin.clusterConfiguration, let value = try? JSONValue(parsing: Array(text.utf8).span) {
            cluster["config"] = value
        }
        return cluster
    }
}
