import Glibc
import JSON
import Logging

/// One line of a log. A value, so that its forms can be compared.
struct LogLine {
    let level: Logger.Level
    let message: String
    let fields: [(key: String, value: Logger.MetadataValue)]
    /// File and line.
    let caller: String
    let time: LogTime
    var processID = getpid()

    // MARK: Text

    /// klog's form: letter of the severity, month and day, local time, process, caller; then the structured message.
    var text: String {
        var text = "\(severity)\(time.monthAndDay) \(time.clock) "
        let process = "\(processID)"
        text += String(repeating: " ", count: max(0, 7 - process.count)) + process
        text += " \(caller)] " + Self.quoted(message)
        for (key, value) in fields { text += " \(key)=" + Self.text(value) }
        return text + "\n"
    }

    private var severity: Character {
        switch level {
        case .trace, .debug, .info, .notice: "I"
        case .warning: "W"
        case .error: "E"
        case .critical: "F"
        }
    }

    private static func text(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .array(let values): "[" + values.map(text).joined(separator: ",") + "]"
        case .dictionary, .string, .stringConvertible:
            isNumber("\(value)") ? "\(value)" : quoted("\(value)")
        }
    }

    private static func isNumber(_ text: String) -> Bool {
        guard let first = text.utf8.first, first == UInt8(ascii: "-") || isDigit(first) else { return false }
        return text.utf8.count < 16 && text.utf8.dropFirst().allSatisfy(isDigit) && text != "-"
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// As Go's `%q`, but for characters that are printed as they are.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    // MARK: JSON

    /// The names that Kubernetes gives a meaning.
    private static let reserved: Set<String> = ["ts", "caller", "msg", "v", "err", "level"]

    /// Milliseconds since 1970, caller, message; the verbosity of what is no error, and `err` of what is one. Kubernetes
    /// has no warnings here; ours say so in `level`.
    var json: String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.name("ts")
            writer.number(time.milliseconds)
            writer.name("caller")
            writer.string(caller)
            writer.name("msg")
            writer.string(message)
            if let verbosity {
                writer.name("v")
                writer.integer(verbosity)
            }
            if level == .warning {
                writer.name("level")
                writer.string("warning")
            }
            for (key, value) in fields {
                let isError = verbosity == nil && key == "error"
                guard isError || !Self.reserved.contains(key) else { continue }
                writer.name(isError ? "err" : key)
                Self.write(value, to: &writer)
            }
        }
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }

    /// `nil` for errors.
    private var verbosity: Int? {
        switch level {
        case .trace: 4
        case .debug: 2
        case .info, .notice, .warning: 0
        case .error, .critical: nil
        }
    }

    private static func write(_ value: Logger.MetadataValue, to writer: inout JSONWriter) {
        switch value {
        case .array(let values): writer.array(values) { write($1, to: &$0) }
        case .dictionary(let members):
            writer.object { writer in
                for (key, value) in members.sorted(by: { $0.key < $1.key }) {
                    writer.name(key)
                    write(value, to: &writer)
                }
            }
        case .string, .stringConvertible:
            let text = "\(value)"
            let isPlain = text == "0" || !text.hasPrefix("0") && !text.hasPrefix("-0")
            if isNumber(text), isPlain { writer.number(text) } else { writer.string(text) }
        }
    }
}

/// A moment, in the forms that log lines have.
struct LogTime {
    private let time: timespec
    private let local: tm

    init(_ time: timespec, local: tm) {
        self.time = time
        self.local = local
    }

    static var now: LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var local = tm()
        localtime_r(&time.tv_sec, &local)
        return LogTime(time, local: local)
    }

    /// `1125`.
    var monthAndDay: String { Self.padded(Int(local.tm_mon) + 1) + Self.padded(Int(local.tm_mday)) }

    /// `08:14:03.001200`.
    var clock: String {
        [local.tm_hour, local.tm_min, local.tm_sec].map { Self.padded(Int($0)) }.joined(separator: ":")
            + "." + Self.padded(time.tv_nsec / 1000, 6)
    }

    /// Since 1970, with a fraction.
    var milliseconds: String {
        "\(time.tv_sec)" + Self.padded(time.tv_nsec / 1_000_000, 3) + "." + Self.padded(time.tv_nsec / 1000 % 1000, 3)
    }

    private static func padded(_ number: Int, _ width: Int = 2) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
