import Foundation
import Glibc

/// The real kube-apiserver over a real etcd, both on loopback, with role-based access control and service accounts. The
/// environment variable `KUBE_APISERVER` names the program; without it nothing of this is there.
public final class KubeAPIServer: Sendable {
    /// It did not start, or refused what a test needs.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) {
            self.description = description
        }
    }

    /// The program, where one is given.
    public static let program = ProcessInfo.processInfo.environment["KUBE_APISERVER"]
    public static let isGiven = program != nil

    /// The port on 127.0.0.1.
    public let port: UInt16
    public var url: String { "https://127.0.0.1:\(port)" }
    /// The minor version of Kubernetes 1.
    public let minor: Int
    /// What an administrator's requests are authorized with.
    public let administratorToken = "administrator"
    private let etcd: EtcdServer
    private let process: ServerProcess
    private let directory: TemporaryDirectory

    /// Starts both servers and waits until requests are answered.
    public init() async throws {
        guard let program = Self.program else { throw Failure(description: "KUBE_APISERVER is not set") }
        etcd = try await EtcdServer()
        directory = try TemporaryDirectory()
        port = try EtcdServer.freePort()
        try "\(administratorToken),administrator,administrator,system:masters\n"
            .write(toFile: directory.path + "/tokens", atomically: true, encoding: .utf8)
        try """
        apiVersion: audit.k8s.io/v1
        kind: Policy
        omitStages: [RequestReceived]
        rules: [{level: Metadata}]
        """.write(toFile: directory.path + "/audit.yaml", atomically: true, encoding: .utf8)
        let key = directory.path + "/accounts.key"
        let made = try await ProgramOutcome.run(
            "/usr/bin/openssl",
            ["genrsa", "-out", key, "2048"],
            environment: ["HOME": directory.path]
        )
        guard made.status == 0 else { throw Failure(description: "openssl: \(made.errors)") }
        process = try ServerProcess(
            program,
            [
                "--etcd-servers=\(etcd.endpoint)", "--bind-address=127.0.0.1", "--secure-port=\(port)",
                "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--cert-dir=\(directory.path)",
                "--authorization-mode=RBAC", "--token-auth-file=\(directory.path)/tokens",
                "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=\(key)",
                "--service-account-signing-key-file=\(key)", "--service-cluster-ip-range=10.96.0.0/16",
                // Nobody makes the account "default" of a namespace, which Pods would have to have.
                "--allow-privileged=true", "--disable-admission-plugins=ServiceAccount",
                "--audit-policy-file=\(directory.path)/audit.yaml", "--audit-log-path=\(directory.path)/audit",
            ],
            log: directory.path + "/log"
        )
        let deadline = ContinuousClock.now + .seconds(90)
        while true {
            // The service of the server itself is made at the end of its start.
            if let version = try? await Self.ask(directory.path, port, administratorToken, "GET", "/version"),
                (try? await Self.ask(directory.path, port, administratorToken, "GET", "/readyz")) == "ok",
                let minor = version.firstMatch(of: /"minor": "(\d+)/).flatMap({ Int($0.output.1) })
            {
                self.minor = minor
                return
            }
            guard ContinuousClock.now < deadline, process.isRunning else {
                let log = try String(contentsOfFile: directory.path + "/log", encoding: .utf8)
                throw Failure(description: "kube-apiserver does not start: \(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    deinit {
        process.stop()
    }

    /// What a client verifies the server with: the certificate that it made for itself, and that one's authority.
    public var certificateAuthority: String { directory.path + "/apiserver.crt" }

    /// Makes a request as administrator and returns the answer. A patch is a JSON patch.
    ///
    /// - Throws: ``Failure`` when the answer is none of success.
    @discardableResult
    public func request(_ method: String, _ path: String, _ body: String? = nil) async throws -> String {
        try await Self.ask(directory.path, port, administratorToken, method, path, body)
    }

    private static func ask(
        _ directory: String,
        _ port: UInt16,
        _ token: String,
        _ method: String,
        _ path: String,
        _ body: String? = nil
    ) async throws -> String {
        let outcome = try await ProgramOutcome.run(
            "/usr/bin/curl",
            [
                "--silent", "--show-error", "--max-time", "30", "--cacert", "\(directory)/apiserver.crt",
                "--header", "Authorization: Bearer \(token)", "--header",
                "Content-Type: application/\(method == "PATCH" ? "json-patch+json" : "json")",
                "--request", method, "--write-out", "\n%{http_code}",
            ] + (body == nil ? [] : ["--data-binary", "@-"]) + ["https://127.0.0.1:\(port)\(path)"],
            environment: [:],
            input: body ?? ""
        )
        var lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
        guard outcome.status == 0, lines.popLast()?.first == "2" else {
            throw Failure(description: "\(method) \(path): \(outcome.output)\(outcome.errors)")
        }
        return lines.joined(separator: "\n")
    }

    /// A token of a service account of the namespace `kube-system`, for an hour.
    public func token(of account: String) async throws -> String {
        let answer = try await request(
            "POST",
            "/api/v1/namespaces/kube-system/serviceaccounts/\(account)/token",
            #"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}}"#
        )
        guard let token = answer.firstMatch(of: /"token": ?"([^"]+)"/) else {
            throw Failure(description: "no token: \(answer)")
        }
        return String(token.output.1)
    }

    public func writeKubeconfig(to path: String, token: String) throws {
        try """
        apiVersion: v1
        kind: Config
        clusters: [{name: c, cluster: {server: "\(url)", certificate-authority: "\(certificateAuthority)"}}]
        users: [{name: u, user: {token: "\(token)"}}]
        contexts: [{name: x, context: {cluster: c, user: u}}]
        current-context: x
        """.write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// A line of JSON for each request so far that was not made by the server itself, as in audit.k8s.io/v1.
    public var audit: [String] {
        let text = (try? String(contentsOfFile: directory.path + "/audit", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init).filter { !$0.contains(#""username":"system:apiserver""#) }
    }
}
