import FoundationEssentials
import NetworkTypes
import ServerTransport

extension KubernetesConfiguration {
    /// Finds out where the API server is and who we are.
    ///
    /// The first of these that there is: the file `kubeconfig`; the files of `KUBECONFIG`, merged as kubectl does;
    /// `~/.kube/config`; the service account of the Pod that we run in. A `server` in a kubeconfig may be several URLs
    /// separated by commas, all of the same cluster, of which the first that answers is used.
    ///
    /// - Parameters:
    ///   - kubeconfig: a path (`--kubeconfig`); it must exist.
    ///   - master: a server (`--master`), which replaces that of the kubeconfig; without any kubeconfig it is spoken to
    ///     without credentials, as kube-proxy does.
    ///   - context: `nil` for the current one.
    /// - Throws: `ConfigurationError` when there is nothing, or what there is cannot be used.
    public static func load(
        kubeconfig: String?,
        master: String?,
        context: String? = nil,
        environment: [String: String]
    ) throws(ConfigurationError) -> Self {
        try load(
            kubeconfig: kubeconfig,
            master: master,
            context: context,
            environment: environment,
            serviceAccount: "/var/run/secrets/kubernetes.io/serviceaccount"
        )
    }

    static func load(
        kubeconfig: String?,
        master: String?,
        context: String?,
        environment: [String: String],
        serviceAccount: String
    ) throws(ConfigurationError) -> Self {
        let master = master.flatMap { $0.isEmpty ? nil : $0 }
        let context = context.flatMap { $0.isEmpty ? nil : $0 }
        var merged = Kubeconfig()
        var missing: [String] = []
        if let kubeconfig, !kubeconfig.isEmpty {
            guard try merged.add(file: kubeconfig) else {
                throw ConfigurationError("there is no kubeconfig \(kubeconfig); correct its path")
            }
            return try merged.configuration(context: context, master: master)
        }
        let listed = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        let home = environment["HOME"].map { "\($0)/.kube/config" }
        for path in listed.isEmpty ? [home].compactMap({ $0 }) : listed where try !merged.add(file: path) {
            missing.append(path)
        }
        if !merged.files.isEmpty { return try merged.configuration(context: context, master: master) }
        if let master { return try Self(anonymousAt: master) }
        if let own = try inCluster(environment, serviceAccount) { return own }
        let looked = missing.isEmpty ? "" : " (there is no \(missing.joined(separator: ", ")))"
        throw ConfigurationError(
            "no configuration of the cluster's API was found\(looked), and this is no Pod with a service account;"
                + " give a kubeconfig"
        )
    }

    init(anonymousAt master: String) throws(ConfigurationError) {
        self.init(servers: try Self.servers(master, isTLS: false, "--master"), origin: "--master")
    }

    static func servers(
        _ text: String,
        isTLS: Bool,
        _ place: String
    ) throws(ConfigurationError) -> [ServerAddress] {
        var servers: [ServerAddress] = []
        for part in text.split(separator: ",") {
            let trimmed = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            // The text is not repeated: somebody may have put a password into the URL.
            guard let server = ServerAddress(trimmed, defaultScheme: isTLS ? "https" : "http") else {
                throw ConfigurationError("\(place): the server is no URL such as https://10.0.0.1:6443")
            }
            if !servers.contains(server) { servers.append(server) }
        }
        guard !servers.isEmpty else { throw ConfigurationError("\(place): the server is empty") }
        return servers
    }

    /// The service account of a Pod; `nil` when this is none.
    private static func inCluster(
        _ environment: [String: String],
        _ directory: String
    ) throws(ConfigurationError) -> Self? {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else { return nil }
        let bracketed = IPv6Address(host) == nil ? host : "[\(host)]"
        guard let server = ServerAddress("https://\(bracketed):\(port)") else {
            throw ConfigurationError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address of a server")
        }
        let token = "\(directory)/token"
        guard FileManager.default.fileExists(atPath: token) else {
            throw ConfigurationError(
                "this Pod has no service account token at \(token); set automountServiceAccountToken, or give a kubeconfig"
            )
        }
        let authority = "\(directory)/ca.crt"
        var file = WatchedFile("\(directory)/namespace")
        let namespace = (try? file.read(now: .now)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return Self(
            servers: [server],
            certificateAuthority: FileManager.default.fileExists(atPath: authority) ? .file(authority) : nil,
            credentials: Credentials(authorization: .token(.file(token))),
            namespace: namespace.isEmpty ? "default" : namespace.filter { !$0.isWhitespace },
            origin: "the service account of this Pod"
        )
    }
}
