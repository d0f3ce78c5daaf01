import ProxyAPI

/// The command line, as Go's flags are written: `--flag value`, `--flag=value`, `--flag` for true, `-v=2`.
public struct ProxyCommandLine: Sendable {
    /// What flags decide.
    public struct Values: Hashable, Sendable {
        public var configuration = KubeProxyConfiguration()
        public var configurationFile: String?
        public var writeConfigurationTo: String?
        public var manifests: String?
        public var master: String?
        /// `nil` when nobody said.
        public var snapshot: String?
        /// `nil` when nobody said.
        public var socket: String?
        public var countsConnections = false
        /// How clients of a Service without a wish of its own are spread in userspace mode.
        public var userspaceAlgorithm = BalancingWish.Algorithm.random
        /// `nil` for connections that may end by themselves.
        public var userspaceDrainTimeout: Duration?
        public var userspaceListen: String?
        public var userspacePorts: String?
        public var cleanup = false
        public var initOnly = false
        public var replaceKubeProxy = false
        public var version = false
        public var help = false
    }

    public struct Misused: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// The flags alone, without a file.
    public let values: Values
    private let given: [(flag: ProxyFlag, text: String)]

    public init(_ arguments: [String]) throws(Misused) {
        let flags = Dictionary(uniqueKeysWithValues: ProxyFlag.all.map { ($0.name, $0) })
        var given: [(flag: ProxyFlag, text: String)] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument.count > 1, argument != "--" else {
                throw Misused(description: "unknown argument \"\(argument)\"; see --help")
            }
            let isShort = !argument.hasPrefix("--")
            let parts = argument.drop { $0 == "-" }.split(
                separator: "=",
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            // Go takes underscores for dashes.
            var name = parts[0].split(separator: "_", omittingEmptySubsequences: false).joined(separator: "-")
            var text = parts.count > 1 ? String(parts[1]) : nil
            if isShort, name == "h" { name = "help" }
            if isShort, name.hasPrefix("v"), name.count > 1, text == nil {
                text = String(name.dropFirst())
                name = "v"
            }
            guard let flag = flags[name], !isShort || name == "v" || name == "help" else {
                throw Misused(description: "unknown flag \(argument); see --help")
            }
            if text == nil {
                if flag.valueName == nil {
                    text = "true"
                } else {
                    guard let next = rest.popFirst() else {
                        throw Misused(description: "flag needs a value: \(argument)")
                    }
                    text = next
                }
            }
            if flag.isList, let index = given.firstIndex(where: { $0.flag.name == name }) {
                given[index].text += ",\(text ?? "")"
            } else {
                given.append((flag, text ?? ""))
            }
        }
        self.given = given
        values = try Self.applying(given, to: Values())
    }

    private static func applying(
        _ given: [(flag: ProxyFlag, text: String)],
        to values: Values
    ) throws(Misused) -> Values {
        var values = values
        for (flag, text) in given {
            guard let expected = flag.apply(text, &values) else { continue }
            throw Misused(description: "--\(flag.name): expected \(expected), not \"\(text)\"")
        }
        return values
    }

    /// What counts together with a file: the file's fields, and of the flags those that say so (2.12).
    public func values(with file: KubeProxyConfiguration) -> Values {
        var values = Values()
        values.configuration = file
        // They applied to other values before, and take the same texts here.
        let counting = given.filter(\.flag.countsWithFile)
        return (try? Self.applying(counting, to: values)) ?? values
    }

    /// The flags that a file makes meaningless.
    public var ignoredWithFile: [String] {
        given.filter { !$0.flag.countsWithFile }.map { "--\($0.flag.name)" }
    }

    /// Every flag that was given, or has a default, with its value.
    public static func effective(_ values: Values) -> [(name: String, value: String)] {
        let fields = Dictionary(
            uniqueKeysWithValues: ConfigurationField.all.compactMap { field in field.flag.map { ($0, field) } }
        )
        return ProxyFlag.all.compactMap { flag in
            if let field = fields[flag.name] { return (flag.name, field.text(in: values.configuration)) }
            switch flag.name {
            case "config": return (flag.name, values.configurationFile ?? "")
            case "manifests": return (flag.name, values.manifests ?? "")
            case "master": return (flag.name, values.master ?? "")
            case "snapshot": return (flag.name, values.snapshot ?? ProxyConfiguration.defaultSnapshot)
            case "socket": return (flag.name, values.socket ?? ProxyAPI.defaultSocket)
            case "connection-counters": return (flag.name, "\(values.countsConnections)")
            case "userspace-algorithm": return (flag.name, values.userspaceAlgorithm.rawValue)
            case "userspace-drain-timeout":
                return (flag.name, values.userspaceDrainTimeout.map(GoDuration.text) ?? "")
            case "userspace-listen": return (flag.name, values.userspaceListen ?? "")
            case "userspace-ports": return (flag.name, values.userspacePorts ?? "")
            case "masquerade-all": return (flag.name, "\(values.configuration.nftables.masqueradeAll)")
            default: return nil
            }
        }
    }

    /// The list of flags for a help text.
    public static var flagsHelp: String {
        ProxyFlag.all.map { flag in
            let dashes = flag.name == "v" ? "  -v, --v" : "  --\(flag.name)"
            let head = dashes + (flag.valueName.map { " <\($0)>" } ?? "")
            return head + "\n" + wrapped(flag.help)
        }.joined(separator: "\n")
    }

    private static func wrapped(_ text: String) -> String {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + word.count > 70 {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(line)
        return lines.map { "          \($0)" }.joined(separator: "\n")
    }
}
