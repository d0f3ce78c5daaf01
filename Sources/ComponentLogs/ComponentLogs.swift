// ComponentLogs: log lines as Kubernetes' components write them, as text (klog) and as JSON, with a verbosity that can
// be changed while the program runs. What is logged, and where the lines go, is the program's business.

import Logging
import Synchronization

/// How much is logged: klog's `-v`, for all loggers that were made with it.
public final class Verbosity: Sendable {
    private let number: Atomic<Int>

    public init(_ number: Int = 0) {
        self.number = Atomic(number)
    }

    public var value: Int { number.load(ordering: .relaxed) }

    public func set(_ value: Int) { number.store(value, ordering: .relaxed) }

    /// What is logged with it, at least.
    var level: Logger.Level {
        switch value {
        case ..<2: .info
        case ..<4: .debug
        default: .trace
        }
    }
}

/// Writes lines in one of the formats of Kubernetes' components.
public struct ComponentLogHandler: LogHandler {
    public enum Format: Sendable {
        /// `I1125 08:14:03.001200    1234 File.swift:12] "a message" key="value"`
        case text
        /// `{"ts":1764058443001.2,"caller":"File.swift:12","msg":"a message","v":0,"key":"value"}`
        case json
    }

    public var metadata: Logger.Metadata = [:]
    private let format: Format
    private let verbosity: Verbosity
    private let write: @Sendable (String) -> Void
    /// For one logger whose level was set by itself.
    private var ownLevel: Logger.Level?

    /// - Parameter write: takes one line with its end.
    public init(_ format: Format, _ verbosity: Verbosity, write: @escaping @Sendable (String) -> Void) {
        self.format = format
        self.verbosity = verbosity
        self.write = write
    }

    public var logLevel: Logger.Level {
        get { ownLevel ?? verbosity.level }
        set { ownLevel = newValue }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = event.metadata.map { metadata.merging($0) { _, new in new } } ?? metadata
        let line = LogLine(
            level: event.level,
            message: "\(event.message)",
            fields: all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) },
            caller: "\(event.file.split(separator: "/").last ?? ""):\(event.line)",
            time: .now
        )
        write(format == .text ? line.text : line.json)
    }
}
