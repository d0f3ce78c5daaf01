import Logging

/// Where log lines go, and which.
struct ProxyLog {
    let logger: Logger

    init(verbosity: Int) {
        var logger = Logger(label: "swiftlet-proxy") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel =
            switch verbosity {
            case ..<2: .info
            case ..<4: .debug
            default: .trace
            }
        self.logger = logger
    }
}
