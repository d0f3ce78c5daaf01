import JSON
import KubernetesAPI
import Logging
import ServiceProxy

/// Where log lines go, which, and how they look.
struct ProxyLog {
    let logger: Logger

    init(_ configuration: KubeProxyConfiguration.Logging) {
        let isJSON = configuration.format == "json"
        var logger = Logger(label: "swiftlet-proxy") { label -> any LogHandler in
            guard isJSON else { return StreamLogHandler.standardError(label: label) }
            return JSONLogHandler()
        }
        logger.logLevel =
            switch configuration.verbosity {
            case ..<2: .info
            case ..<4: .debug
            default: .trace
            }
        self.logger = logger
    }
}

/// One JSON object per line, in the way of Kubernetes' components: `ts`, `level`, `msg`, and the metadata beside them.
struct JSONLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var writer = JSONWriter()
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        writer.object { writer in
            writer.name("ts")
            writer.string("\(Timestamp.now)")
            writer.name("level")
            writer.string("\(event.level)")
            writer.name("msg")
            writer.string("\(event.message)")
            for (key, value) in all.sorted(by: { $0.key < $1.key }) where !["ts", "level", "msg"].contains(key) {
                writer.name(key)
                writer.string("\(value)")
            }
        }
        StandardStreams.write(String(decoding: writer.bytes, as: UTF8.self) + "\n", toErrors: true)
    }
}
