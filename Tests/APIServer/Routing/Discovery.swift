import JSON

extension APIService {
    /// Serves what is no resource: versions, health, and what resources there are.
    func discovery(_ request: Request) throws(APIError) -> WholeReply {
        let parts = request.path.split(separator: "/").map(String.init)
        guard request.method == "GET" || request.method == "HEAD" else { throw .methodNotAllowed }
        switch (parts.first, parts.count) {
        case ("version", 1): return WholeReply(body: Array(Self.version.text(indentation: 2).utf8))
        case ("healthz", _), ("livez", _), ("readyz", _): return health(request, parts[0])
        case ("api", 1):
            let aggregated = Representation(accept: request.accept, protobuf: false, discovery: true)
            if aggregated?.form == .aggregatedDiscovery { return aggregatedDiscovery(groups: [""]) }
            return .json(
                JSONObject([
                    ("kind", "APIVersions"), ("versions", ["v1"]),
                    (
                        "serverAddressByClientCIDRs",
                        [
                            [
                                "clientCIDR": "0.0.0.0/0",
                                "serverAddress": .string(request.headers.first(name: "host") ?? ""),
                            ]
                        ]
                    ),
                ])
            )
        case ("apis", 1):
            let aggregated = Representation(accept: request.accept, protobuf: false, discovery: true)
            if aggregated?.form == .aggregatedDiscovery { return aggregatedDiscovery(groups: groups) }
            return .json(
                JSONObject([
                    ("kind", "APIGroupList"), ("apiVersion", "v1"),
                    ("groups", .array(groups.map { .object(group($0)) })),
                ])
            )
        case ("apis", 2):
            guard groups.contains(parts[1]) else { throw .noPath }
            var group = group(parts[1])
            group = JSONObject([("kind", "APIGroup"), ("apiVersion", "v1")] + group.members.map { ($0.key, $0.value) })
            return .json(group)
        case ("api", 2): return try resources("", parts[1])
        case ("apis", 3): return try resources(parts[1], parts[2])
        case ("openapi", 2) where parts[1] == "v2": return Self.emptyOpenAPI2
        case ("openapi", 2) where parts[1] == "v3": return openAPIRoot
        case ("openapi", _) where parts[1] == "v3":
            return try openAPI(parts.dropFirst(2).joined(separator: "/"))
        default: throw .noPath
        }
    }

    static let version: JSONValue = [
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": "v1.36.2", "gitCommit": "$Format:%H$", "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.26.5", "compiler": "gc", "platform": "linux/amd64",
    ]

    private func health(_ request: Request, _ check: String) -> WholeReply {
        guard request.query["verbose"] != nil else { return .text("ok") }
        let checks = ["ping", "log", "etcd", "informer-sync"].map { "[+]\($0) ok\n" }.joined()
        return .text("\(checks)\(check) check passed\n")
    }

    /// The named groups, in the order in which they were added.
    private var groups: [String] {
        registry.all.reduce(into: []) { groups, type in
            if !type.group.isEmpty, !groups.contains(type.group) { groups.append(type.group) }
        }
    }

    private func versions(_ group: String) -> [String] {
        registry.all.filter { $0.group == group }.reduce(into: []) { versions, type in
            if !versions.contains(type.version) { versions.append(type.version) }
        }
    }

    private func group(_ name: String) -> JSONObject {
        let versions: [JSONValue] = versions(name).map {
            ["groupVersion": .string("\(name)/\($0)"), "version": .string($0)]
        }
        return JSONObject([
            ("name", .string(name)), ("versions", .array(versions)), ("preferredVersion", versions.first ?? .null),
        ])
    }

    private static func verbs(_ type: ResourceType) -> JSONValue {
        let all: [JSONValue] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        return .array(type == .namespaces ? all.filter { $0 != "deletecollection" } : all)
    }

    private func resources(_ group: String, _ version: String) throws(APIError) -> WholeReply {
        let types = registry.all.filter { $0.group == group && $0.version == version }
        guard let first = types.first else { throw .noPath }
        let resources = types.flatMap { type -> [JSONValue] in
            var resource = JSONObject([
                ("name", .string(type.plural)), ("singularName", .string(type.singular)),
                ("namespaced", .bool(type.isNamespaced)), ("kind", .string(type.kind)), ("verbs", Self.verbs(type)),
            ])
            if !type.shortNames.isEmpty { resource["shortNames"] = .array(type.shortNames.map { .string($0) }) }
            let status: JSONValue = [
                "name": .string("\(type.plural)/status"), "singularName": "", "namespaced": .bool(type.isNamespaced),
                "kind": .string(type.kind), "verbs": ["get", "patch", "update"],
            ]
            return type.hasStatus ? [.object(resource), status] : [.object(resource)]
        }
        var list = JSONObject([("kind", "APIResourceList")])
        // The core group leaves its version out, as it is older than the field.
        list["apiVersion"] = "v1"
        list["groupVersion"] = .string(first.apiVersion)
        list["resources"] = .array(resources)
        if group.isEmpty { list["apiVersion"] = nil }
        return .json(list)
    }

    private func aggregatedDiscovery(groups: [String]) -> WholeReply {
        let items = groups.map { group -> JSONValue in
            let versions = versions(group).map { version -> JSONValue in
                let types = registry.all.filter { $0.group == group && $0.version == version }
                return [
                    "version": .string(version), "resources": .array(types.map(aggregated)), "freshness": "Current",
                ]
            }
            let metadata = JSONObject(group.isEmpty ? [] : [("name", .string(group))])
            return ["metadata": .object(metadata), "versions": .array(versions)]
        }
        var reply = WholeReply.json(
            JSONObject([
                ("kind", "APIGroupDiscoveryList"), ("apiVersion", "apidiscovery.k8s.io/v2"),
                ("metadata", .object(JSONObject())), ("items", .array(items)),
            ])
        )
        reply.contentType = Representation(form: .aggregatedDiscovery).contentType
        reply.cacheControl = "public"
        reply.headers.append(("Vary", "Accept"))
        return reply
    }

    private func aggregated(_ type: ResourceType) -> JSONValue {
        // Built-in kinds leave group and version to the list.
        let responseKind: JSONValue = [
            "group": .string(type.isCustom ? type.group : ""), "version": .string(type.isCustom ? type.version : ""),
            "kind": .string(type.kind),
        ]
        var resource = JSONObject([
            ("resource", .string(type.plural)), ("responseKind", responseKind),
            ("scope", type.isNamespaced ? "Namespaced" : "Cluster"), ("singularResource", .string(type.singular)),
            ("verbs", Self.verbs(type)),
        ])
        if !type.shortNames.isEmpty { resource["shortNames"] = .array(type.shortNames.map { .string($0) }) }
        if type.hasStatus {
            resource["subresources"] = [
                ["subresource": "status", "responseKind": responseKind, "verbs": ["get", "patch", "update"]]
            ]
        }
        return .object(resource)
    }

    // MARK: OpenAPI

    // Just enough for kubectl to learn that the server validates fields, so that it leaves that to the server.

    /// A kubectl before 1.27 (Debian 12 has 1.20) validates by this, in protobuf, itself, and passes over a kind that is not in it.
    private static let emptyOpenAPI2 = WholeReply(
        contentType: "application/octet-stream",
        body: [0x0a, 3] + Array("2.0".utf8)
    )

    private var openAPIRoot: WholeReply {
        let paths = registry.all.map { $0.group.isEmpty ? "api/\($0.version)" : "apis/\($0.group)/\($0.version)" }
        let members = Set(paths).sorted().map { path -> (String, JSONValue) in
            (path, ["serverRelativeURL": .string("/openapi/v3/\(path)")])
        }
        return .json(JSONObject([("paths", .object(JSONObject(members)))]))
    }

    private func openAPI(_ path: String) throws(APIError) -> WholeReply {
        let types = registry.all.filter {
            path == ($0.group.isEmpty ? "api/\($0.version)" : "apis/\($0.group)/\($0.version)")
        }
        guard !types.isEmpty else { throw .noPath }
        let paths = types.map { type -> (String, JSONValue) in
            let fieldValidation: JSONValue = ["name": "fieldValidation", "in": "query", "schema": ["type": "string"]]
            let dryRun: JSONValue = ["name": "dryRun", "in": "query", "schema": ["type": "string"]]
            let patch: JSONValue = [
                "parameters": [dryRun, fieldValidation], "responses": ["200": ["description": "OK"]],
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": [
                    "group": .string(type.group), "version": .string(type.version), "kind": .string(type.kind),
                ],
            ]
            return (type.path(namespace: "{namespace}", name: "{name}"), ["patch": patch])
        }
        return .json(
            JSONObject([
                ("openapi", "3.0.0"), ("info", ["title": "Kubernetes", "version": "v1.36.2"]),
                ("paths", .object(JSONObject(paths))), ("components", ["schemas": [:]]),
            ])
        )
    }
}
