import FoundationEssentials
import Glibc

/// Makes certificates with the `openssl` program, in a directory that goes away with the value.
final class CertificateAuthority: Sendable {
    private let directory: String
    let certificatePEM: String

    init() throws {
        var template = Array("\(FileManager.default.temporaryDirectory.path)/test-apiserver-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestAPIServerError("no temporary directory: errno \(errno)") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        directory = path
        do {
            try Self.openssl(
                path,
                Self.request("\(path)/ca", "/CN=test-ca") + [
                    "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                    "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
                ]
            )
            certificatePEM = try Self.read("\(path)/ca.crt")
        } catch {
            try? FileManager.default.removeItem(atPath: path)
            throw error
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// A certificate for the server.
    func serverCertificate() throws -> (certificatePEM: String, keyPEM: String) {
        try issue(
            "/CN=kube-apiserver",
            [
                "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,"
                    + "DNS:kubernetes.default.svc",
                "extendedKeyUsage=serverAuth",
            ]
        )
    }

    func clientCertificate(_ user: User) throws -> ClientCertificate {
        let subject = user.groups.map { "/O=\(Self.escaped($0))" }.joined() + "/CN=\(Self.escaped(user.name))"
        let issued = try issue(subject, ["extendedKeyUsage=clientAuth"])
        return ClientCertificate(user: user, certificatePEM: issued.certificatePEM, keyPEM: issued.keyPEM)
    }

    private func issue(
        _ subject: String,
        _ extensions: [String]
    ) throws -> (certificatePEM: String, keyPEM: String) {
        let name = UUID().uuidString
        defer {
            for suffix in ["key", "crt"] {
                try? FileManager.default.removeItem(atPath: "\(directory)/\(name).\(suffix)")
            }
        }
        try Self.openssl(
            directory,
            Self.request("\(directory)/\(name)", subject) + [
                "-CA", "\(directory)/ca.crt", "-CAkey", "\(directory)/ca.key", "-addext", "basicConstraints=CA:FALSE",
            ]
                + extensions.flatMap { ["-addext", $0] }
        )
        return (try Self.read("\(directory)/\(name).crt"), try Self.read("\(directory)/\(name).key"))
    }

    private static func request(_ name: String, _ subject: String) -> [String] {
        [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-keyout", "\(name).key", "-out", "\(name).crt", "-subj", subject,
        ]
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("/", with: "\\/").replacing("+", with: "\\+")
    }

    private static func read(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }

    /// Runs the program in the directory and waits for it.
    private static func openssl(_ directory: String, _ arguments: [String]) throws {
        // The least configuration that `req` takes, so that the machine's own does not matter.
        let configuration = "\(directory)/openssl.cnf"
        if !FileManager.default.fileExists(atPath: configuration) {
            try Data("[req]\ndistinguished_name = name\n[name]\n".utf8).write(to: URL(filePath: configuration))
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let log = "\(directory)/log-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: log) }
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let words = (["openssl"] + arguments + ["-config", configuration]).map { strdup($0) }
        defer { words.forEach { free($0) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, "openssl", &actions, nil, words + [nil], environ)
        guard result == 0 else {
            throw TestAPIServerError("cannot run openssl (\(String(cString: strerror(result)))); install it")
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else {
            let output = (try? read(log)) ?? ""
            throw TestAPIServerError("openssl \(arguments.first ?? "") failed: \(output)")
        }
    }
}
