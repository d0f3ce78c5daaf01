import ClusterClient
import Foundation
import ServerTransport
import TestSupport
import Testing

@testable import KubernetesClient

/// Credential plugins, played by shell scripts.
@Suite(.timeLimit(.minutes(1)))
struct ExecPluginTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func cache(_ script: String, hint: String? = nil, clusterInfo: Bool = false) throws -> PluginCache {
        let path = "\(directory.path)/plugin"
        try "#!/bin/sh\n\(script)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        return PluginCache(
            ExecPlugin(
                command: path,
                arguments: ["one two", "canary"],
                environment: [.init(name: "COUNT", value: "\(directory.path)/count")],
                installHint: hint,
                providesClusterInfo: clusterInfo
            ),
            KubernetesConfiguration(servers: [try #require(ServerAddress("https://a:6443"))])
        )
    }

    private static func credential(_ status: String) -> String {
        #"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{\#(status)}}'"#
    }

    private var runs: Int {
        ((try? String(contentsOfFile: "\(directory.path)/count", encoding: .utf8)) ?? "").filter { $0 == "x" }.count
    }

    @Test func aTokenIsKeptUntilItIsRefusedAndTheProgramRunsOnceForAll() async throws {
        let cache = try cache(#"printf x >> "$COUNT"; "# + Self.credential(#""token":"t$#""#))
        try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<8 { group.addTask { try await cache.credential(within: .seconds(20)).token?.header } }
            for try await header in group { #expect(header == "Bearer t$#") }
        }
        #expect(runs == 1)
        cache.forget("Bearer another", nil)
        _ = try await cache.credential(within: .seconds(20))
        #expect(runs == 1)
        cache.forget("Bearer t$#", nil)
        _ = try await cache.credential(within: .seconds(20))
        #expect(runs == 2)
    }

    @Test func anExpiredCredentialIsAskedForAgain() async throws {
        let cache = try cache(
            #"printf x >> "$COUNT"; "#
                + Self.credential(#""token":"t","expirationTimestamp":"2020-01-01T00:00:00Z""#)
        )
        for _ in 0..<2 { _ = try await cache.credential(within: .seconds(20)) }
        #expect(runs == 2)
    }

    @Test func argumentsAndTheClusterReachTheProgramAsTheyAre() async throws {
        let cache = try cache(
            #"printf '%s|%s|%s' "$#" "$1" "$KUBERNETES_EXEC_INFO" > "$COUNT"; "# + Self.credential(#""token":"t""#),
            clusterInfo: true
        )
        _ = try await cache.credential(within: .seconds(20))
        let seen = try String(contentsOfFile: "\(directory.path)/count", encoding: .utf8)
        #expect(seen.hasPrefix("2|one two|{"))
        #expect(seen.contains(#""cluster":{"server":"https://a:6443"}"#) && seen.contains(#""interactive":false"#))
    }

    @Test(arguments: [
        ("echo canary; exit 3", "ended with status 3"), ("kill -9 $$", "ended by signal 9"),
        ("echo canary", "no JSON object"), (Self.credential(""), "neither a token nor a client certificate"),
        (Self.credential(#""clientKeyData":"canary""#), "a key without its certificate"),
        (Self.credential(#""token":"canary canary""#), "characters that no token has"),
        (Self.credential(#""token":"canary","expirationTimestamp":"soon""#), "expirationTimestamp"),
        ("sleep 30", "did not end in time"), ("yes canary", "printed more than"),
    ])
    func aProgramThatFailsIsToldOf(_ script: String, _ expected: String) async throws {
        let cache = try cache(script)
        let start = ContinuousClock.now
        var message = ""
        do {
            _ = try await cache.credential(within: script == "sleep 30" ? .milliseconds(300) : .seconds(20))
        } catch {
            message = error.reason
        }
        #expect(message.contains(expected) && message.contains(directory.path), "\(message)")
        #expect(!message.contains("canary"))
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func theHintSaysWhereToGetTheProgram() async throws {
        let plugin = ExecPlugin(command: "no-such-plugin-here", installHint: "install it from example.org")
        let cache = PluginCache(plugin, KubernetesConfiguration(servers: []))
        await #expect(
            throws: PluginFailure(
                "the credential plugin no-such-plugin-here: there is no such program: install it from example.org"
            )
        ) { try await cache.credential(within: .seconds(5)) }
    }
}
