import JSON
import KubernetesAPI

/// `/statusz` and `/flagz`: what a component tells people who look for faults, as text, or as an object of
/// config.k8s.io for programs that ask for one by its group, version and kind.
public struct ZPage: Sendable {
    /// `kube-proxy`.
    public let component: String
    private let kind: String
    private let text: String
    private let members: [(String, JSONValue)]

    private static let group = "config.k8s.io"
    private static let versions = ["v1alpha1", "v1beta1"]
    private static let warning =
        "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is "
        + "for debugging purposes only.\n"

    /// What the component is.
    ///
    /// - Parameters:
    ///   - version: of the program.
    ///   - emulationVersion: of the Kubernetes component that it stands in for, as `1.36`.
    ///   - paths: of the pages to look at.
    public static func statusz(
        _ component: String,
        started: Timestamp,
        now: Timestamp,
        version: String,
        emulationVersion: String,
        paths: [String]
    ) -> ZPage {
        let up = max(0, now.seconds - started.seconds)
        let clock = [up / 60 % 60, up % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return ZPage(
            component: component,
            kind: "Statusz",
            text: """
                \(component) statusz
                \(warning)
                Started: \(started.unixDate)
                Up: \(up / 3600) hr \(clock[0]) min \(clock[1]) sec
                Binary version: \(version)
                Emulation version: \(emulationVersion)
                Paths: \(paths.joined(separator: " "))

                """,
            members: [
                ("startTime", .string("\(started.wholeSecond)")), ("uptimeSeconds", .number("\(up)")),
                ("binaryVersion", .string(version)), ("emulationVersion", .string(emulationVersion)),
                ("paths", .array(paths.map { .string($0) })),
            ]
        )
    }

    /// The flags that the component was started with, or their defaults.
    public static func flagz(_ component: String, _ flags: [(name: String, value: String)]) -> ZPage {
        let flags = flags.sorted { $0.name < $1.name }
        return ZPage(
            component: component,
            kind: "Flagz",
            text: "\(component) flags\n\(warning)\n" + flags.map { "\($0.name)=\($0.value)\n" }.joined(),
            members: [("flags", .object(JSONObject(flags.map { ($0.name, .string($0.value)) })))]
        )
    }

    /// The page in the form that the client accepts, or 406.
    public func answer(_ request: StatusRequest) -> StatusAnswer {
        guard !request.accept.allSatisfy(\.isWhitespace) else { return StatusAnswer(body: text) }
        for range in MediaRange.list(request.accept) {
            if range.matches("text", "plain") { return StatusAnswer(body: text) }
            guard range.matches("application", "json"), range.parameters["g"] == Self.group,
                range.parameters["as"] == kind, let version = range.parameters["v"], Self.versions.contains(version)
            else { continue }
            return .json(200, body: object(version).text())
        }
        let forms = Self.versions.map { "application/json;v=\($0);g=\(Self.group);as=\(kind)" }
        return .failure(
            406,
            "only the following media types are accepted: text/plain, " + forms.joined(separator: ", ")
        )
    }

    private func object(_ version: String) -> JSONValue {
        .object(
            JSONObject(
                [
                    ("kind", .string(kind)), ("apiVersion", .string("\(Self.group)/\(version)")),
                    ("metadata", ["name": .string(component)]),
                ] + members
            )
        )
    }
}

/// One entry of an Accept header: `application/json;v=v1;q=0.5`.
struct MediaRange: Hashable {
    let type: String
    let subtype: String
    let parameters: [String: String]

    /// The entries of a header, those that are wanted most first; what is none is left out.
    static func list(_ header: String) -> [MediaRange] {
        let ranges = header.split(separator: ",").compactMap(MediaRange.init)
        // Stable, since the order decides between equals.
        return ranges.enumerated().filter { $0.element.quality > 0 }.sorted {
            ($1.element.quality, $0.offset) < ($0.element.quality, $1.offset)
        }.map(\.element)
    }

    private init?(_ text: Substring) {
        let parts = text.split(separator: ";").map { $0.trimmingSpaces }
        let types = parts.first?.split(separator: "/") ?? []
        guard types.count == 2 else { return nil }
        type = types[0].lowercased()
        subtype = types[1].lowercased()
        let pairs = parts.dropFirst().map { $0.split(separator: "=", maxSplits: 1) }
        parameters = Dictionary(
            pairs.filter { $0.count == 2 }.map { ($0[0].trimmingSpaces.lowercased(), String($0[1].trimmingSpaces)) }
        ) { first, _ in first }
    }

    private var quality: Double { parameters["q"].map { Double($0) ?? 0 } ?? 1 }

    func matches(_ type: String, _ subtype: String) -> Bool {
        (self.type == type || self.type == "*") && (self.subtype == subtype || self.subtype == "*")
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        let start = drop { $0 == " " || $0 == "\t" }
        guard let end = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return start }
        return start[...end]
    }
}

extension Timestamp {
    /// As `date` writes it: `Wed Oct 16 21:03:43 UTC 2024`.
    var unixDate: String {
        let text = wholeSecond.description  // 2024-10-16T21:03:43Z
        let parts = text.split { "-T:Z".contains($0) }
        let days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
        let weekday = Int(((days + 4) % 7 + 7) % 7)
        let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let month = Int(parts[1]) ?? 1
        let day = parts[2].hasPrefix("0") ? " \(parts[2].dropFirst())" : "\(parts[2])"
        return "\(weekdays[weekday]) \(months[month - 1]) \(day) \(parts[3]):\(parts[4]):\(parts[5]) UTC \(parts[0])"
    }
}
