import FoundationEssentials
import JSON

/// The text of a kubeconfig, in JSON, which is YAML too.
enum Kubeconfig {
    static func text(
        servers: [String],
        authorityPEM: String,
        credential: Credential,
        namespace: String?
    ) -> String {
        func base64(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }

        var user = JSONObject()
        switch credential {
        case .certificate(let certificate):
            user["client-certificate-data"] = base64(certificate.certificatePEM)
            user["client-key-data"] = base64(certificate.keyPEM)
        case .token(let token): user["token"] = .string(token)
        case .none: break
        }
        let names = servers.indices.map { $0 == 0 ? "test" : "test-\($0 + 1)" }
        let clusters = zip(names, servers).map { name, server -> JSONValue in
            var cluster = JSONObject([("server", .string(server))])
            if !authorityPEM.isEmpty { cluster["certificate-authority-data"] = base64(authorityPEM) }
            return ["name": .string(name), "cluster": .object(cluster)]
        }
        let contexts = names.map { name -> JSONValue in
            var context = JSONObject([("cluster", .string(name)), ("user", "test")])
            if let namespace { context["namespace"] = .string(namespace) }
            return ["name": .string(name), "context": .object(context)]
        }
        let configuration = JSONObject([
            ("apiVersion", "v1"), ("kind", "Config"), ("current-context", .string(names.first ?? "")),
            ("clusters", .array(clusters)), ("contexts", .array(contexts)),
            ("users", [["name": "test", "user": .object(user)]]),
        ])
        return JSONValue.object(configuration).text(indentation: 2) + "\n"
    }
}
