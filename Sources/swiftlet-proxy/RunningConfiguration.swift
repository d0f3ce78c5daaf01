import ComponentLogs
import Logging
import ServiceProxy
import Synchronization

/// What the proxy goes by now. A changed file is followed as far as that is possible while it runs (2.12).
final class RunningConfiguration: Sendable {
    private let commandLine: ProxyCommandLine
    private let current: Mutex<(values: ProxyCommandLine.Values, configuration: ProxyConfiguration)>
    let verbosity: Verbosity
    /// How the node is programmed; this process keeps to it.
    let mode: ProxyMode
    private let logger: Logger

    /// The file says something that only another process can follow.
    struct Changed: Error, CustomStringConvertible {
        let path: String
        let fields: [ConfigurationChange.Field]

        var description: String {
            "--config: the content of \(path) has changed; start again to use it: "
                + fields.map(\.description).joined(separator: "; ")
        }
    }

    init(
        _ commandLine: ProxyCommandLine,
        _ values: ProxyCommandLine.Values,
        _ configuration: ProxyConfiguration,
        _ log: ProxyLog
    ) {
        mode = configuration.mode
        self.commandLine = commandLine
        current = Mutex((values, configuration))
        verbosity = log.verbosity
        logger = log.logger
    }

    var values: ProxyCommandLine.Values { current.withLock { $0.values } }
    /// What follows from ``values``.
    var configuration: ProxyConfiguration { current.withLock { $0.configuration } }

    /// Takes what a changed file says. One that cannot be used changes nothing.
    ///
    /// - Parameter apply: carries out what is new and can be followed; is given what was before, and what is to be.
    /// - Throws: ``Changed``.
    func take(
        _ file: ConfigurationFile,
        apply: (_ old: ProxyConfiguration, _ new: ProxyConfiguration) async -> Void
    ) async throws {
        let new: ProxyCommandLine.Values
        var configuration: ProxyConfiguration
        do {
            let reading = try file.read()
            for remark in reading.lenientBecause {
                logger.warning("a field of the configuration is passed over", metadata: ["reason": "\(remark)"])
            }
            new = commandLine.values(with: reading.configuration)
            configuration = try ProxyConfiguration(
                new,
                hostName: LocalNode.hostName,
                manifestProblem: ProxyDaemon.problem(withManifests:)
            )
        } catch {
            logger.error(
                "the configuration file has changed and cannot be used; nothing is changed",
                metadata: ["file": "\(file.path)", "error": "\(error)"]
            )
            return
        }
        configuration.mode = mode
        let change = ConfigurationChange(from: values.configuration, to: new.configuration, in: mode)
        let restart = change.needingRestart
        guard restart.isEmpty else { throw Changed(path: file.path, fields: restart) }
        let old = self.configuration
        current.withLock { [configuration] current in current = (new, configuration) }
        for field in change.fields {
            if field.path == "logging.verbosity" { verbosity.set(new.configuration.logging.verbosity) }
            var metadata: Logger.Metadata = ["field": "\(field.path)", "old": "\(field.old)", "new": "\(field.new)"]
            if let unused = field.unused { metadata["noEffect"] = "\(unused)" }
            logger.info("the configuration is changed", metadata: metadata)
        }
        if !change.fields.isEmpty { await apply(old, configuration) }
    }
}
