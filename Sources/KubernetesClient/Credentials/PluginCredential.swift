import JSON
import KubernetesAPI
import ServerTransport

/// What a credential plugin printed (ExecCredential, `status`).
struct PluginCredential: Sendable {
    let token: BearerToken?
    let identity: TLSSettings.ClientIdentity?
    let expires: Timestamp?

    /// - Throws: `PluginFailure` that repeats nothing of the text: it may hold the credentials.
    init(parsing text: [UInt8], apiVersion: String) throws(PluginFailure) {
        guard case .object(let object)? = try? JSONValue(parsing: text.span) else {
            throw PluginFailure("it printed no JSON object")
        }
        guard object.text("kind") == "ExecCredential" else { throw PluginFailure("it printed no ExecCredential") }
        guard object.text("apiVersion") == apiVersion else {
            throw PluginFailure("it printed an ExecCredential of another apiVersion than \(apiVersion)")
        }
        guard let status = object.object("status") else { throw PluginFailure("it printed no status") }
        if let text = status.text("token"), !text.isEmpty {
            guard let token = BearerToken(Array(text.utf8)) else {
                throw PluginFailure("it printed a token with characters that no token has")
            }
            self.token = token
        } else {
            token = nil
        }
        switch (status.text("clientCertificateData"), status.text("clientKeyData")) {
        case (let chain?, let key?) where !chain.isEmpty && !key.isEmpty:
            identity = TLSSettings.ClientIdentity(certificateChain: Array(chain.utf8), privateKey: Array(key.utf8))
        case (nil, nil), (""?, ""?), (nil, ""?), (""?, nil): identity = nil
        default:
            throw PluginFailure("it printed a client certificate without its key, or a key without its certificate")
        }
        guard token != nil || identity != nil else {
            throw PluginFailure("it printed neither a token nor a client certificate")
        }
        if let text = status.text("expirationTimestamp") {
            guard let expires = Timestamp(text) else {
                throw PluginFailure("it printed an expirationTimestamp that is no time of RFC 3339")
            }
            self.expires = expires
        } else {
            expires = nil
        }
    }
}

/// Why a credential plugin gave nothing.
struct PluginFailure: Error, Hashable, Sendable {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}
