import KubernetesClient

/// Credentials for the API server that stand in a network configuration itself (Calico's `policy` section), instead of in
/// a kubeconfig. Its description says nothing of the token.
public struct InlineCredentials: Hashable, Sendable {
    private let token: BytesSource?
    private let certificate: Credentials.Certificate?
    private let authority: BytesSource?

    /// - Parameters:
    ///   - certificateFile: counts only together with `keyFile`; both are paths of PEM files, as is `authorityFile`.
    public init(
        token: String? = nil,
        certificateFile: String? = nil,
        keyFile: String? = nil,
        authorityFile: String? = nil
    ) {
        self.token = token.map { .data(Array($0.utf8)) }
        authority = authorityFile.map { .file($0) }
        guard let certificateFile, let keyFile else {
            certificate = nil
            return
        }
        certificate = .init(chain: .file(certificateFile), key: .file(keyFile))
    }

    func apply(to configuration: inout KubernetesConfiguration) {
        if let authority { configuration.certificateAuthority = authority }
        if let certificate { configuration.credentials.certificate = certificate }
        if let token { configuration.credentials.authorization = .token(token) }
    }
}
