import ComponentLogs
import Logging
import ServiceProxy

/// Where log lines go, which, and how they look.
struct ProxyLog {
    let logger: Logger
    /// For all lines, and to be changed at any time.
    let verbosity: Verbosity

    init(_ configuration: KubeProxyConfiguration.Logging) {
        let verbosity = Verbosity(configuration.verbosity)
        let format: ComponentLogHandler.Format = configuration.format == "json" ? .json : .text
        self.verbosity = verbosity
        logger = Logger(label: "swiftlet-proxy") { _ in
            ComponentLogHandler(format, verbosity) { StandardStreams.write($0, toErrors: true) }
        }
    }
}
