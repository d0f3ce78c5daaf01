import CNI

/// How much is logged, and where besides stderr.
struct LogSettings: Sendable {
    enum Level: Int, Comparable, CustomStringConvertible, Sendable {
        case debug
        case info
        case warning
        case error

        /// Written out, since Swift would find the name by reflection, which takes longer than all else that ADD computes.
        var description: String {
            switch self {
            case .debug: "debug"
            case .info: "info"
            case .warning: "warning"
            case .error: "error"
            }
        }

        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    let level: Level
    let file: String?
    /// When the file grows beyond this many bytes it is put aside.
    let maximumSize: Int
    /// How many files that were put aside are kept.
    let maximumCount: Int
    /// How many seconds they are kept.
    let maximumAge: Int

    static let standard = LogSettings()

    private init() {
        (level, file, maximumSize, maximumCount, maximumAge) = (.info, nil, 0, 0, 0)
    }

    init(_ configuration: ObjectReader) throws(CNIError) {
        level =
            switch try configuration.string("log_level")?.lowercased() {
            case "debug": .debug
            case "error": .error
            default: .info
            }
        file = try configuration.absolutePath("log_file_path")
        let megabytes = try configuration.int("log_file_max_size") ?? 100
        maximumCount = try configuration.int("log_file_max_count") ?? 10
        guard (1...1_000_000).contains(megabytes) else {
            throw CNIError(.invalidConfiguration, "\"log_file_max_size\" must be 1 to 1000000 MB, not \(megabytes)")
        }
        guard (0...1000).contains(maximumCount) else {
            throw CNIError(.invalidConfiguration, "\"log_file_max_count\" must be 0 to 1000, not \(maximumCount)")
        }
        let days = try configuration.int("log_file_max_age") ?? 30
        guard (1...36_500).contains(days) else {
            throw CNIError(.invalidConfiguration, "\"log_file_max_age\" must be 1 to 36500 days, not \(days)")
        }
        maximumAge = days * 86_400
        maximumSize = megabytes << 20
    }
}
