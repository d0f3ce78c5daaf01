import Foundation
import ServerTransport
import TestSupport
import Testing

@testable import KubernetesClient

struct KubeconfigTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func write(_ text: String, _ name: String = "config") throws -> String {
        let path = "\(directory.path)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func config(cluster: String = "server: https://a:6443", user: String = "token: canary") -> String {
        """
        apiVersion: v1
        kind: Config
        unknown: {x: 1}
        current-context: lab
        contexts: [{name: lab, context: {cluster: c, user: u, namespace: team}}, {name: bad, context: {cluster: none}}]
        clusters:
        - name: c
          cluster:
            \(cluster)
        users:
        - name: u
          user:
            \(user.replacingOccurrences(of: "\n", with: "\n    "))
        """
    }

    private func load(
        _ kubeconfig: String?,
        master: String? = nil,
        context: String? = nil,
        _ environment: [String: String] = [:]
    ) throws(ConfigurationError) -> KubernetesConfiguration {
        try .load(
            kubeconfig: kubeconfig,
            master: master,
            context: context,
            environment: environment,
            serviceAccount: directory.path
        )
    }

    private func refusal(_ body: () throws -> some Any) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func aContextIsResolved() throws {
        let path = try write(
            config(cluster: "{server: 'https://a:6443, https://b:6443', certificate-authority: ca.crt}")
        )
        let found = try load(path)
        #expect(found.servers.map(\.description) == ["https://a:6443", "https://b:6443"])
        #expect(found.certificateAuthority == .file("\(directory.path)/ca.crt"))
        #expect(found.namespace == "team")
        #expect(found.credentials.authorization == .token(.data(Array("canary".utf8))))
        #expect(found.origin == "context \"lab\" of \(path)")
    }

    @Test func theMasterReplacesTheServer() throws {
        let path = try write(config())
        #expect(try load(path, master: "https://m:1").servers.map(\.description) == ["https://m:1"])
        #expect(try load(path, master: "https://m:1").credentials.authorization != nil)
        let anonymous = try load(nil, master: "m:8080")
        #expect(anonymous.servers.map(\.description) == ["http://m:8080"])
        #expect(anonymous.credentials == Credentials())
    }

    @Test func ofSeveralFilesTheFirstCounts() throws {
        let first = try write("clusters: [{name: c, cluster: {server: https://first}}]", "first")
        let second = try write(config(cluster: "server: https://second"), "second")
        let listed = ["KUBECONFIG": "/nonexistent/file:\(first):\(second)"]
        #expect(try load(nil, listed).servers.map(\.description) == ["https://first:443"])
        #expect(try load(nil, listed).credentials.authorization != nil)
        #expect(try load(second, listed).servers.map(\.description) == ["https://second:443"])
    }

    @Test func aPodUsesItsServiceAccount() throws {
        _ = try write("canary", "token")
        _ = try write("team", "namespace")
        let found = try load(nil, ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"])
        #expect(found.servers.map(\.description) == ["https://[fd00::1]:443"])
        #expect(found.credentials.authorization == .token(.file("\(directory.path)/token")))
        #expect(found.namespace == "team")
        #expect(refusal { try load(nil) }?.contains("give a kubeconfig") == true)
    }

    @Test(arguments: [
        ("client-key: k", "client key but no client certificate"), ("auth-provider: {name: gcp}", "auth-provider"),
        ("token: 1234", "token is a number, not a string; put it in quotes"),
        ("{token: canary, username: u}", "more than one"),
        ("client-key-data: '*canary*'", "client-key-data is no base64"), ("password: canary", "no username"),
        ("exec: {command: x}", "apiVersion must be client.authentication.k8s.io/v1"),
        ("exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}", "no terminal"),
        ("as-groups: [x]", "without as"),
    ])
    func aUserThatCannotBeUsedIsNamed(_ user: String, _ expected: String) throws {
        let path = try write(config(user: user))
        let message = refusal { try load(path) } ?? ""
        #expect(message.contains(expected) && message.contains("user \"u\" of \(path)"), "\(message)")
        #expect(!message.contains("canary") && !message.contains("1234"))
    }

    @Test(arguments: [
        ("server: 'https://u:canary@h'", "is no URL"), ("server: ''", "has no server"),
        ("{server: 'https://a', proxy-url: 'https://u:canary@p'}", "proxy-url"),
        ("{server: 'https://a', certificate-authority: x, insecure-skip-tls-verify: true}", "insecure-skip-tls-verify"),
        ("[]", "an array instead of a mapping"),
    ])
    func aClusterThatCannotBeUsedIsNamed(_ cluster: String, _ expected: String) throws {
        let path = try write(config(cluster: cluster))
        let message = refusal { try load(path) } ?? ""
        #expect(message.contains(expected) && message.contains("cluster \"c\" of \(path)"), "\(message)")
        #expect(!message.contains("canary"))
    }

    @Test func whatIsMissingIsNamed() throws {
        let path = try write(config())
        #expect(refusal { try load(path, context: "x") }?.contains("no context \"x\"; name one that it has") == true)
        #expect(refusal { try load(path, context: "bad") }?.contains("names the cluster \"none\"") == true)
        #expect(refusal { try load("/nonexistent/x") } == "there is no kubeconfig /nonexistent/x; correct its path")
        let garbage = try write("a: [", "garbage")
        #expect(refusal { try load(garbage) }?.hasPrefix("the kubeconfig \(garbage) is no YAML: ") == true)
        let list = try write("[1]", "list")
        #expect(refusal { try load(list) } == "the kubeconfig \(list) holds an array instead of a mapping")
    }

    @Test(arguments: [
        "token: canary", "{username: u, password: canary}",
        "client-key-data: Y2FuYXJ5\nclient-certificate-data: Y2FuYXJ5",
        "exec: {command: x, args: [canary], env: [{name: A, value: canary}], apiVersion: client.authentication.k8s.io/v1}",
    ])
    func descriptionsHoldNoSecret(_ user: String) throws {
        let found = try load(try write(config(user: user)))
        var dumped = ""
        dump(found, to: &dumped)
        for text in [dumped, "\(found)", String(reflecting: found), "\(found.credentials)"] {
            #expect(!text.contains("canary") && !text.contains("99, 97, 110"), "\(text)")
        }
    }
}
