import JSON
import ServerTransport

extension Kubeconfig {
    /// The configuration of one context.
    ///
    /// - Parameters:
    ///   - name: `nil` for the current context.
    ///   - master: a server that replaces that of the context's cluster.
    func configuration(context name: String?, master: String?) throws(ConfigurationError) -> KubernetesConfiguration {
        let paths = files.joined(separator: ":")
        guard let name = name ?? currentContext else {
            // With a server from elsewhere there is something to talk to, though we are nobody.
            if let master { return try .init(anonymousAt: master) }
            throw ConfigurationError(
                "the kubeconfig \(paths) names no current-context; set it with `kubectl config use-context NAME`"
                    + "\(Self.choice(contexts))"
            )
        }
        guard let context = contexts[name] else {
            throw ConfigurationError(
                "the kubeconfig \(paths) has no context \"\(name)\"; name one that it has\(Self.choice(contexts))"
            )
        }
        let cluster = try part(context, "cluster", clusters, isNeeded: master == nil)
        let user = try part(context, "user", users, isNeeded: false)
        let origin = "context \"\(name)\" of \(context.file)"
        var configuration = KubernetesConfiguration(servers: [], origin: origin)
        if let namespace = try context.text("namespace") { configuration.namespace = namespace }
        if let user { configuration.credentials = try Self.credentials(user, cluster) }
        try Self.read(cluster, master, into: &configuration)
        return configuration
    }

    private func part(
        _ context: KubeconfigEntry,
        _ kind: String,
        _ entries: [String: KubeconfigEntry],
        isNeeded: Bool
    ) throws(ConfigurationError) -> KubeconfigEntry? {
        guard let name = try context.text(kind) else {
            guard isNeeded else { return nil }
            throw ConfigurationError("\(context.place) names no \(kind); add one")
        }
        if let entry = entries[name] { return entry }
        throw ConfigurationError(
            "\(context.place) names the \(kind) \"\(name)\", which is not in the kubeconfig\(Self.choice(entries))"
        )
    }

    private static func choice(_ entries: [String: KubeconfigEntry]) -> String {
        guard !entries.isEmpty else { return "" }
        return " (there are: \(entries.keys.sorted().prefix(20).joined(separator: ", ")))"
    }

    private static func read(
        _ cluster: KubeconfigEntry?,
        _ master: String?,
        into configuration: inout KubernetesConfiguration
    ) throws(ConfigurationError) {
        if let cluster {
            configuration.certificateAuthority = try cluster.bytes(
                file: "certificate-authority",
                data: "certificate-authority-data"
            )
            configuration.serverName = try cluster.text("tls-server-name")
            configuration.verifiesServer = try !cluster.flag("insecure-skip-tls-verify")
            if !configuration.verifiesServer, configuration.certificateAuthority != nil {
                throw ConfigurationError(
                    "\(cluster.place) has both insecure-skip-tls-verify and a certificate authority; remove one of them"
                )
            }
            if let text = try cluster.text("proxy-url") {
                guard let proxy = ProxyAddress(text) else {
                    throw ConfigurationError(
                        "\(cluster.place): proxy-url is no http://HOST:PORT or socks5://HOST:PORT"
                    )
                }
                configuration.proxy = proxy
            }
        }
        let place = master == nil ? cluster?.place ?? configuration.origin : "--master"
        var server = master
        if server == nil { server = try cluster?.text("server") }
        guard let text = server else {
            throw ConfigurationError("\(place) has no server; add the URL of the API server")
        }
        // As client-go: a server without a scheme is spoken to in TLS where something is said about TLS.
        let isTLS =
            configuration.certificateAuthority != nil || !configuration.verifiesServer
            || configuration.credentials.certificate != nil
        configuration.servers = try KubernetesConfiguration.servers(text, isTLS: isTLS, place)
    }

    private static func credentials(
        _ user: KubeconfigEntry,
        _ cluster: KubeconfigEntry?
    ) throws(ConfigurationError) -> Credentials {
        if user.fields["auth-provider"] != nil {
            throw ConfigurationError(
                "\(user.place) uses auth-provider, which Kubernetes has given up; use an exec plugin or a token instead"
            )
        }
        var credentials = Credentials()
        let chain = try user.bytes(file: "client-certificate", data: "client-certificate-data")
        let key = try user.bytes(file: "client-key", data: "client-key-data")
        switch (chain, key) {
        case (let chain?, let key?): credentials.certificate = Credentials.Certificate(chain: chain, key: key)
        case (nil, nil): break
        case (_?, nil):
            throw ConfigurationError("\(user.place) has a client certificate but no client key; add client-key")
        case (nil, _?):
            throw ConfigurationError("\(user.place) has a client key but no client certificate; add client-certificate")
        }
        credentials.authorization = try authorization(user, cluster)
        if let name = try user.text("as") {
            credentials.impersonation = Credentials.Impersonation(
                user: name,
                groups: try user.texts("as-groups"),
                uid: try user.text("as-uid")
            )
        } else if user.fields["as-groups"] != nil || user.fields["as-uid"] != nil {
            throw ConfigurationError("\(user.place) has as-groups or as-uid without as; add the user to act as")
        }
        return credentials
    }

    private static func authorization(
        _ user: KubeconfigEntry,
        _ cluster: KubeconfigEntry?
    ) throws(ConfigurationError) -> Credentials.Authorization? {
        let tokenFile = try user.text("tokenFile").map { BytesSource.file(user.path($0)) }
        let token = try user.text("token").map { BytesSource.data(Array($0.utf8)) }
        let name = try user.text("username")
        let password = try user.text("password")
        let hasPlugin = user.fields["exec"] != nil
        let ways = [tokenFile != nil || token != nil, name != nil || password != nil, hasPlugin].count { $0 }
        guard ways <= 1 else {
            throw ConfigurationError("\(user.place) has more than one of token, username and exec; keep one of them")
        }
        if let source = tokenFile ?? token { return .token(source) }
        if hasPlugin { return .plugin(try plugin(user, cluster)) }
        guard let name else {
            guard password == nil else { throw ConfigurationError("\(user.place) has a password but no username") }
            return nil
        }
        return .password(user: name, password: password ?? "")
    }

    private static func plugin(
        _ user: KubeconfigEntry,
        _ cluster: KubeconfigEntry?
    ) throws(ConfigurationError) -> ExecPlugin {
        let exec = try user.entry("exec", place: "exec of \(user.place)")
        guard let command = try exec.text("command") else {
            throw ConfigurationError("\(exec.place) has no command; add the program to run")
        }
        let version = try exec.text("apiVersion") ?? ""
        guard ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"].contains(version) else {
            throw ConfigurationError(
                "\(exec.place): apiVersion must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1"
            )
        }
        switch try exec.text("interactiveMode") {
        case nil, "Never", "IfAvailable": break
        case "Always":
            throw ConfigurationError(
                "\(exec.place) has interactiveMode Always, but there is no terminal here; use other credentials"
            )
        case _?: throw ConfigurationError("\(exec.place): interactiveMode must be Never, IfAvailable or Always")
        }
        var environment: [ExecPlugin.EnvironmentVariable] = []
        for variable in try exec.entries("env") {
            guard let name = try variable.text("name"), !name.contains("=") else {
                throw ConfigurationError("\(exec.place) has a variable without a proper name under env")
            }
            environment.append(.init(name: name, value: try variable.text("value") ?? ""))
        }
        var configuration: String?
        for fields in cluster?.fields.objects("extensions") ?? []
        where fields.text("name") == "client.authentication.k8s.io/exec" {
            configuration = fields["extension"]?.text()
        }
        return ExecPlugin(
            command: command.contains("/") ? exec.path(command) : command,
            arguments: try exec.texts("args"),
            environment: environment,
            apiVersion: version,
            installHint: try exec.text("installHint"),
            providesClusterInfo: try exec.flag("provideClusterInfo"),
            clusterConfiguration: configuration
        )
    }
}
