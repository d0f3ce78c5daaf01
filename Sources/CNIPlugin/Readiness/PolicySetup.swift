import CNI
import ClusterClient
import Glibc
import JSON
import NetworkTypes

/// `policy_setup_timeout_seconds`: how long a pod waits for the agent to put its policy in place, of which the agent tells
/// by a file for each endpoint (1.1, C17).
struct PolicySetup: Sendable {
    let timeout: Duration
    let directory: String

    private static let defaultDirectory = "/var/run/calico/endpoint-status"
    private static let pause: UInt32 = 10_000
    /// What is left of the time of an ADD for its answer.
    private static let reserve = Duration.seconds(1)

    /// Throws code 7 for a negative time, and for a directory that depends on where the plugin is started.
    init(_ configuration: ObjectReader) throws(CNIError) {
        let seconds = try configuration.int("policy_setup_timeout_seconds") ?? 0
        guard 0...86_400 ~= seconds else {
            throw CNIError(
                .invalidConfiguration,
                "\"policy_setup_timeout_seconds\" must be 0 to 86400, not \(seconds)"
            )
        }
        timeout = .seconds(seconds)
        directory = try configuration.absolutePath("endpoint_status_dir") ?? Self.defaultDirectory
    }

    /// The file's name: the orchestrator, the workload and the interface as paths of URLs have them, with spaces between.
    static func fileName(of endpoint: WorkloadEndpoint) -> String {
        let workload =
            switch endpoint.workload {
            case .pod(let pod): "\(pod.namespace)/\(pod.name)"
            case .container(let id): id
            }
        return [endpoint.workload.orchestrator, workload, endpoint.id.interfaceName].map(escaped)
            .joined(separator: " ")
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            case let byte where "-_.~$&+=:@".utf8.contains(byte):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += digits.utf8.count < 2 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return escaped
    }

    /// Waits for the endpoint's file, with the only thread that there is, until the time is up.
    ///
    /// - Returns: whether the file is there.
    func isDone(for endpoint: WorkloadEndpoint) -> Bool {
        guard timeout > .zero else { return true }
        let own = ContinuousClock.now + timeout
        let end = RequestDeadline.current.map { min($0 - Self.reserve, own) } ?? own
        let path = "\(directory)/\(Self.fileName(of: endpoint))"
        while true {
            if let text = try? SmallFile.contents(path), Self.isAbout(endpoint, text) { return true }
            guard ContinuousClock.now < end else { return false }
            usleep(Self.pause)
        }
    }

    /// Whether what a file says is not of an earlier sandbox of the same name. That it is there is all that agents promise;
    /// later ones write the endpoint as JSON.
    static func isAbout(_ endpoint: WorkloadEndpoint, _ text: String) -> Bool {
        guard case .object(let object)? = try? JSONValue(parsing: Array(text.utf8).span) else { return true }
        let status = ObjectReader(object)
        if let link = endpoint.link, let mac = try? status.value("mac", as: MACAddress.self), mac != link.mac {
            return false
        }
        let told = ["ipv4Nets", "ipv6Nets"].flatMap { (try? status.strings($0)) ?? [] }.compactMap { CIDR($0)?.address }
        return told.isEmpty || Set(told).isSuperset(of: endpoint.addresses)
    }
}
