import Foundation
import JSON
import TestAPIServer
import TestSupport
import Testing

/// An API server onto which the manifests of `cni-conf/kubernetes` are applied with kubectl.
struct ClusterUnderTest: Sendable {
    static let hasKubectl = Command.path("kubectl") != nil
    static let manifests = Command.repository + "/cni-conf/kubernetes"

    let server: TestAPIServer
    let directory: TemporaryDirectory

    /// What the manifests have and the server does not know from the start. Calico's kinds come with the definitions.
    private static let workloads: [ResourceType] = [
        ResourceType(plural: "serviceaccounts", kind: "ServiceAccount"),
        ResourceType(
            group: "rbac.authorization.k8s.io",
            plural: "clusterroles",
            kind: "ClusterRole",
            isNamespaced: false
        ),
        ResourceType(
            group: "rbac.authorization.k8s.io",
            plural: "clusterrolebindings",
            kind: "ClusterRoleBinding",
            isNamespaced: false
        ),
        ResourceType(group: "apps", plural: "daemonsets", kind: "DaemonSet", hasStatus: true),
        ResourceType(group: "apps", plural: "deployments", kind: "Deployment", hasStatus: true),
        ResourceType(group: "batch", plural: "jobs", kind: "Job", hasStatus: true),
    ]

    init() async throws {
        var options = TestAPIServer.Options()
        options.customResources = Self.workloads
        options.requiresNamespaces = true
        server = try await TestAPIServer(options)
        directory = try TemporaryDirectory()
        try server.put(#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}}"#)
        try server.writeKubeconfig(to: directory.path + "/admin")
    }

    /// With the manifests applied.
    static func installed() async throws -> ClusterUnderTest {
        let cluster = try await ClusterUnderTest()
        let applied = try await cluster.kubectl("apply", "-f", manifests)
        try #require(applied.status == 0, "\(applied.output) \(applied.errors)")
        return cluster
    }

    func kubectl(_ arguments: String...) async throws -> Command.Outcome {
        try await Command.run(
            "kubectl",
            ["--cache-dir=\(directory.path)/cache"] + arguments,
            environment: ["HOME": directory.path, "KUBECONFIG": directory.path + "/admin"]
        )
    }

    /// The minor version of kubectl 1; Debian 12 has 20.
    static func kubectlMinor() async throws -> Int {
        let outcome = try await Command.run("kubectl", ["version", "--client", "-o", "json"])
        let version = try JSONValue(parsing: Array(outcome.output.utf8).span)["clientVersion"]
        return try #require(Int(version["minor"].text.prefix { $0.isNumber }), "\(outcome.output)")
    }

    /// All objects of a kind, by name.
    func objects(_ kind: String) async throws -> [String: JSONValue] {
        let listed = try await kubectl("get", kind, "--all-namespaces", "-o", "json")
        try #require(listed.status == 0, "\(listed.errors)")
        let items = try JSONValue(parsing: Array(listed.output.utf8).span)["items"].array
        return Dictionary(items.map { ($0["metadata"]["name"].text, $0) }) { first, _ in first }
    }

    /// Lets a service account in, with what the manifests' ClusterRoles bind to it and nothing else; its user's name.
    func admit(_ account: String, token: String) async throws -> String {
        let user = "system:serviceaccount:kube-system:\(account)"
        server.setToken(token, user: User(user))
        let rights = try await Right.all(of: account, self)
        server.setRules(rights.map { AccessRule(user, verbs: [$0.verb], resources: [$0.resource]) })
        return user
    }
}

/// That somebody may do something, or has done it.
struct Right: Hashable, CustomStringConvertible {
    let verb: String
    /// With subresource and group, as `pods/status`, `ippools.crd.projectcalico.org`.
    let resource: String

    init(_ verb: String, _ resource: String) {
        (self.verb, self.resource) = (verb, resource)
    }

    var description: String { "\(verb) \(resource)" }

    /// What the ClusterRoles that are bound to an account allow.
    static func all(of account: String, _ cluster: ClusterUnderTest) async throws -> Set<Right> {
        let roles = try await cluster.objects("clusterroles")
        var rights: Set<Right> = []
        for binding in try await cluster.objects("clusterrolebindings").values {
            guard
                binding["subjects"].array.contains(where: {
                    $0["kind"].text == "ServiceAccount" && $0["name"].text == account
                        && $0["namespace"].text == "kube-system"
                })
            else { continue }
            let role = try #require(roles[binding["roleRef"]["name"].text])
            for rule in role["rules"].array {
                for group in rule["apiGroups"].array {
                    for resource in rule["resources"].array {
                        for verb in rule["verbs"].array {
                            let name = resource.text + (group.text.isEmpty ? "" : "." + group.text)
                            rights.insert(Right(verb.text, name))
                        }
                    }
                }
            }
        }
        return rights
    }

    /// What a request needs; `nil` for one that is open to everybody.
    init?(_ request: LoggedRequest) {
        var parts = request.path.split(separator: "/").map(String.init)
        guard parts.count >= 3, ["api", "apis"].contains(parts[0]) else { return nil }
        let group = parts[0] == "apis" ? "." + parts[1] : ""
        parts.removeFirst(parts[0] == "apis" ? 3 : 2)
        if parts.first == "namespaces", parts.count > 2 { parts.removeFirst(2) }
        guard let plural = parts.first else { return nil }
        let hasName = parts.count > 1
        let subresource = parts.count > 2 ? "/" + parts[2] : ""
        let verb =
            switch request.method {
            case "GET": request.isWatch ? "watch" : hasName ? "get" : "list"
            case "POST": "create"
            case "PUT": "update"
            case "PATCH": "patch"
            default: "delete"
            }
        self.init(verb, plural + subresource + group)
    }
}

extension JSONValue {
    /// The member of an object; null of anything else.
    subscript(_ key: String) -> JSONValue {
        if case .object(let object) = self { object[key] ?? .null } else { .null }
    }

    var array: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }
    var text: String { if case .string(let text) = self { text } else { "" } }
    var members: [(key: String, value: JSONValue)] {
        if case .object(let object) = self { object.members.map { ($0.key, $0.value) } } else { [] }
    }
}
