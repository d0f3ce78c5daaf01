import Foundation
import TestAPIServer
import TestSupport
import Testing

/// What the server shows of itself in a TLS handshake.
@Suite(.enabled(if: Program.path("openssl") != nil, "openssl is not installed"))
struct TLSTests {
    /// The output of `openssl s_client` after a handshake with verification.
    private func handshake(_ server: TestAPIServer, _ directory: TemporaryDirectory, _ more: [String]) async throws
        -> String
    {
        let authority = "\(directory.path)/ca.crt"
        try server.certificateAuthorityPEM.write(toFile: authority, atomically: true, encoding: .utf8)
        return try await Program.run(
            "openssl",
            ["s_client", "-connect", "127.0.0.1:\(server.port)", "-CAfile", authority, "-verify_return_error"] + more
        ).output
    }

    @Test(arguments: [
        ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"], ["-verify_hostname", "localhost"],
        ["-verify_hostname", "kubernetes.default.svc"],
    ])
    func certificateIsGoodFor(_ name: [String]) async throws {
        let server = try await TestAPIServer()
        #expect(try await handshake(server, TemporaryDirectory(), name).contains("Verify return code: 0 (ok)"))
        await server.stop()
    }

    @Test func onlyHTTP11IsOffered() async throws {
        let server = try await TestAPIServer()
        let directory = try TemporaryDirectory()
        #expect(try await handshake(server, directory, ["-alpn", "h2,http/1.1"]).contains("ALPN protocol: http/1.1"))
        await server.stop()
    }

    @Test func rotatedCertificateIsAnotherOne() async throws {
        let server = try await TestAPIServer()
        let directory = try TemporaryDirectory()
        func certificate() async throws -> Substring? {
            let output = try await handshake(server, directory, ["-verify_ip", "127.0.0.1"])
            #expect(output.contains("Verify return code: 0 (ok)"))
            return output.firstMatch(of: /-----BEGIN CERTIFICATE-----[^-]*-----END/)?.0
        }
        let before = try await certificate()
        try server.rotateServerCertificate()
        let after = try await certificate()
        #expect(before != nil)
        #expect(before != after)
        await server.stop()
    }

    @Test func secretsAreNotInDescriptions() async throws {
        let server = try await TestAPIServer()
        let certificate = try server.clientCertificate(User("alice"))
        let texts = ["\(certificate)", String(reflecting: certificate), "\(Credential.certificate(certificate))"]
        #expect(texts.allSatisfy { !$0.contains("PRIVATE KEY") })
        await server.stop()
    }
}
