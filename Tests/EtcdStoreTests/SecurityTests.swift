import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import EtcdStore

/// TLS with certificates on both sides, and etcd's own users.
@Suite struct SecurityTests {
    /// An authority, a server and a client of it, and another authority, made by openssl.
    private struct Certificates {
        let directory: TemporaryDirectory

        init() throws {
            directory = try TemporaryDirectory()
            let script = """
                set -e; cd "$1"
                for ca in ca other; do
                    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $ca.key \
                        -out $ca.crt -days 2 -subj "/CN=$ca"
                done
                printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >extensions
                for name in server client stranger; do
                    ca=ca; [ $name = stranger ] && ca=other
                    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $name.key \
                        -out $name.csr -subj "/CN=$name"
                    openssl x509 -req -in $name.csr -CA $ca.crt -CAkey $ca.key -CAcreateserial -out $name.crt -days 2 \
                        -extfile extensions
                done
                """
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", script, "sh", directory.path]
            let output = Pipe()
            process.standardOutput = output
            process.standardError = output
            try process.run()
            let text = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                throw EtcdServer.Failure(description: "openssl: " + String(decoding: text, as: UTF8.self))
            }
        }

        func path(_ name: String) -> String { directory.path + "/" + name }

        func environment(_ server: EtcdServer, authority: String?, client: String?) -> [String: String] {
            var environment = ["ETCD_ENDPOINTS": server.endpoint]
            if let authority { environment["ETCD_CA_CERT_FILE"] = path(authority + ".crt") }
            if let client {
                environment["ETCD_CERT_FILE"] = path(client + ".crt")
                environment["ETCD_KEY_FILE"] = path(client + ".key")
            }
            return environment
        }
    }

    @Test func certificatesAreAskedForOnBothSides() async throws {
        let certificates = try Certificates()
        let server = try await EtcdServer(
            "--cert-file=\(certificates.path("server.crt"))",
            "--key-file=\(certificates.path("server.key"))",
            "--trusted-ca-file=\(certificates.path("ca.crt"))",
            "--client-cert-auth"
        )
        func open(_ authority: String?, _ client: String?) throws -> EtcdDatastore {
            try EtcdDatastore(
                EtcdConfiguration(
                    environment: certificates.environment(server, authority: authority, client: client)
                ),
                timeLimit: .seconds(2),
                logger: quiet
            )
        }
        let store = try EtcdDatastore(
            EtcdConfiguration(environment: certificates.environment(server, authority: "ca", client: "client")),
            logger: quiet
        )
        try await store.health()
        _ = try await store.commit([.create(.handle("a"), empty)])
        #expect(try await store.keys(.handles) == [.handle("a")])
        var events = store.watch(.collection(.handles)).makeAsyncIterator()
        _ = try await events.next()
        _ = try await store.commit([.create(.handle("b"), empty)])
        guard case .put(let record) = try await events.next() else {
            Issue.record("no event")
            return
        }
        #expect(record.key == .handle("b"))

        for (authority, client) in [
            ("other", "client"), (nil, "client"), ("ca", nil), ("ca", "stranger"),
        ] as [(String?, String?)] {
            let error = try await storeError { try await open(authority, client).list(.handles) }
            #expect(error.reason == .unavailable && error.message.contains(server.endpoint), "\(error)")
            if authority != "ca" { #expect(error.message.contains("not trusted"), "\(error)") }
        }
    }

    @Test func usersLogIn() async throws {
        let server = try await EtcdServer()
        let root = EtcdCredentials(username: "root", password: "hunter2")
        func open(_ credentials: EtcdCredentials?) throws -> EtcdDatastore {
            try EtcdDatastore(configuration(server.endpoint, credentials: credentials), logger: quiet)
        }
        // Without authentication a user is no obstacle, as for other clients of etcd.
        let early = try open(root)
        let anonymous = try open(nil)
        _ = try await early.commit([.create(.handle("early"), empty)])
        for (path, body) in [
            ("user/add", #"{"name":"root","password":"hunter2"}"#), ("role/add", #"{"name":"root"}"#),
            ("user/grant", #"{"user":"root","role":"root"}"#),
            ("user/add", #"{"name":"calico","password":"feline"}"#), ("role/add", #"{"name":"calico"}"#),
            (
                "role/grant",
                #"""
                {"name":"calico","perm":{"permType":"READWRITE","key":"\#(base64("/calico/"))","range_end":"\#(base64("/calico0"))"}}
                """#
            ),
            ("user/grant", #"{"user":"calico","role":"calico"}"#),
            ("user/add", #"{"name":"nobody","password":"nothing"}"#), ("enable", "{}"),
        ] { try await anonymous.call("/v3/auth/" + path, body) }

        // It was turned on under the feet of both.
        #expect(try await early.keys(.handles) == [.handle("early")])
        let refused = try await storeError { try await anonymous.keys(.handles) }
        #expect(refused.reason == .failed && refused.message.contains("etcd_username"))

        let calico = try open(EtcdCredentials(username: "calico", password: "feline"))
        try await calico.health()
        _ = try await calico.commit([.create(.handle("a"), empty)])
        var events = calico.watch(.collection(.handles)).makeAsyncIterator()
        guard case .snapshot(let records) = try await events.next() else {
            Issue.record("no snapshot")
            return
        }
        #expect(records.map(\.key) == [.handle("a"), .handle("early")])

        let wrong = try await storeError {
            try await open(EtcdCredentials(username: "calico", password: "canine")).keys(.handles)
        }
        #expect(wrong.reason == .failed && wrong.message.contains("check etcd_username"))
        #expect(!wrong.message.contains("canine"))
        let nobody = try open(EtcdCredentials(username: "nobody", password: "nothing"))
        #expect(try await storeError { try await nobody.keys(.handles) }.message.contains("role"))
        var denied = nobody.watch(.collection(.handles)).makeAsyncIterator()
        #expect(try await storeError { try await denied.next() }.reason == .failed)

        // Tokens do not survive a restart; the next request and the watch log in again.
        server.stop()
        try await server.start()
        _ = try await calico.commit([.create(.handle("b"), empty)])
        #expect(try await calico.keys(.handles) == [.handle("a"), .handle("b"), .handle("early")])
        while let event = try await events.next() {
            if case .put(let record) = event, record.key == .handle("b") { break }
            if case .snapshot(let records) = event, records.contains(where: { $0.key == .handle("b") }) { break }
        }
    }
}
