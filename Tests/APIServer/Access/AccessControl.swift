import JSON
import Synchronization

/// Who is who, and who may do what.
final class AccessControl: Sendable {
    private struct State {
        var tokens: [String: User]
        var rules: [AccessRule]
        /// The users of the certificates that were issued, by the certificate's bytes.
        var certificates: [[UInt8]: User] = [:]
    }

    private let state: Mutex<State>
    /// Who has neither certificate nor token.
    private let withoutToken: User

    init(_ options: TestAPIServer.Options) {
        state = Mutex(State(tokens: options.tokens, rules: options.rules))
        withoutToken = options.security == .plain ? options.plainUser : .anonymous
    }

    func setToken(_ token: String, _ user: User?) { state.withLock { $0.tokens[token] = user } }

    func setRules(_ rules: [AccessRule]) { state.withLock { $0.rules = rules } }

    func add(certificate: [UInt8], _ user: User) { state.withLock { $0.certificates[certificate] = user } }

    func remove(certificate: [UInt8]) { state.withLock { $0.certificates[certificate] = nil } }

    func user(ofCertificate certificate: [UInt8]) -> User? { state.withLock { $0.certificates[certificate] } }

    /// - Parameters:
    ///   - authorization: the header.
    ///   - certified: the user of the connection's certificate.
    func authenticate(authorization: String?, certified: User?) throws(APIError) -> User {
        // A certificate comes first, as in a real server: a bad token beside a good one does no harm.
        if let certified { return certified }
        guard let authorization else { return withoutToken }
        guard authorization.lowercased().hasPrefix("bearer "),
            let user = state.withLock({ $0.tokens[authorization.dropFirst(7).trimmingSpaces] })
        else {
            throw .unauthorized
        }
        return user
    }

    func authorize(_ user: User, path: String, verb: String) throws(APIError) {
        if user.groups.contains("system:masters") { return }
        guard let resource = ResourcePath(path) else {
            let open = ["/version", "/healthz", "/readyz", "/livez"]
            if open.contains(where: { path == $0 || path.hasPrefix($0 + "/") }) { return }
            // Everyone who is somebody may see what there is.
            let discovery = ["/api", "/apis", "/openapi"]
            let isDiscovery = discovery.contains { path == $0 || path.hasPrefix($0 + "/") }
            if isDiscovery, user != .anonymous { return }
            throw APIError(
                403,
                "Forbidden",
                "forbidden: User \"\(user.name)\" cannot \(verb) path \"\(path)\"",
                details: JSONObject()
            )
        }
        let plural = resource.plural + (resource.subresource.map { "/\($0)" } ?? "")
        let qualified = resource.group.isEmpty ? plural : "\(plural).\(resource.group)"
        let rules = state.withLock { $0.rules }
        if rules.contains(where: { $0.allows(user, verb, qualified) }) { return }

        let name = resource.group.isEmpty ? resource.plural : "\(resource.plural).\(resource.group)"
        let place = resource.namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
        var details = JSONObject()
        if let name = resource.name { details["name"] = .string(name) }
        if !resource.group.isEmpty { details["group"] = .string(resource.group) }
        details["kind"] = .string(resource.plural)
        throw APIError(
            403,
            "Forbidden",
            "\(name)\(resource.name.map { " \"\($0)\"" } ?? "") is forbidden: User \"\(user.name)\" cannot \(verb) "
                + "resource \"\(plural)\" in API group \"\(resource.group)\" \(place)",
            details: details
        )
    }
}
