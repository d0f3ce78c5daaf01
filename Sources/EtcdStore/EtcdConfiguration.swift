import ClusterClient
import FoundationEssentials
import ServerTransport

/// Where etcd is, and who we are to it.
public struct EtcdConfiguration: Hashable, Sendable {
    /// The members, in the order in which they are tried; not empty.
    public var endpoints: [ServerAddress]
    public var tls: TLSSettings
    /// For clusters with authentication; `nil` for none.
    public var credentials: EtcdCredentials?

    public init(endpoints: [ServerAddress], tls: TLSSettings = TLSSettings(), credentials: EtcdCredentials? = nil) {
        self.endpoints = endpoints
        self.tls = tls
        self.credentials = credentials
    }
}

/// A user of etcd. The description says nothing of the password.
public struct EtcdCredentials: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    public var username: String
    public var password: String

    public init(username: String, password: String) {
        self.username = username
        self.password = password
    }

    public var description: String { "user \(username)" }
    public var debugDescription: String { description }
}

extension EtcdConfiguration {
    /// The settings by Calico's names in a network configuration. In the environment of calicoctl they are in upper case.
    public enum Setting: String, CaseIterable, Sendable {
        case endpoints = "etcd_endpoints"
        case keyFile = "etcd_key_file"
        case certificateFile = "etcd_cert_file"
        case authorityFile = "etcd_ca_cert_file"
        case username = "etcd_username"
        case password = "etcd_password"
        case discoveryDomain = "etcd_discovery_srv"

        public var environmentName: String { rawValue.uppercased() }
    }

    /// Reads settings, and the files that they name.
    ///
    /// Endpoints are separated by commas; `http` when they have no scheme. A password without a user name, or a key without
    /// a certificate, is refused rather than left out.
    ///
    /// - Parameter value: a setting's text; `nil` or empty when it is not set.
    public init(_ value: (Setting) -> String?) throws(DatastoreError) {
        func setting(_ setting: Setting) -> String? { value(setting).flatMap { $0.isEmpty ? nil : $0 } }
        func invalid(_ problem: String) -> DatastoreError { DatastoreError(.failed, problem) }

        if setting(.discoveryDomain) != nil {
            throw invalid("etcd_discovery_srv is not supported; list the members in etcd_endpoints")
        }
        var endpoints: [ServerAddress] = []
        for text in (setting(.endpoints) ?? "").split(separator: ",") {
            let text = text.trimming { $0 == " " }
            if text.isEmpty { continue }
            guard let address = ServerAddress(String(text), defaultScheme: "http") else {
                // It may hold a password where none belongs, so it is not repeated.
                throw invalid(
                    "endpoint \(endpoints.count + 1) in etcd_endpoints is no address such as https://10.0.0.1:2379"
                )
            }
            if !endpoints.contains(address) { endpoints.append(address) }
        }
        guard !endpoints.isEmpty else { throw invalid("etcd_endpoints is not set; it names the members of etcd") }

        func file(_ name: Setting) throws(DatastoreError) -> [UInt8]? {
            guard let path = setting(name) else { return nil }
            do {
                return [UInt8](try Data(contentsOf: URL(filePath: path)))
            } catch {
                throw invalid("\(name.rawValue) \(path) cannot be read")
            }
        }
        var tls = TLSSettings(certificateAuthorities: try file(.authorityFile))
        switch (try file(.certificateFile), try file(.keyFile)) {
        case (nil, nil): break
        case (let certificate?, let key?):
            tls.clientIdentity = .init(certificateChain: certificate, privateKey: key)
        case (nil, _): throw invalid("etcd_key_file is set without etcd_cert_file")
        case (_, nil): throw invalid("etcd_cert_file is set without etcd_key_file")
        }

        var credentials: EtcdCredentials?
        switch (setting(.username), setting(.password)) {
        case (nil, nil): break
        case (let username?, let password?): credentials = EtcdCredentials(username: username, password: password)
        case (nil, _): throw invalid("etcd_password is set without etcd_username")
        case (_, nil): throw invalid("etcd_username is set without etcd_password")
        }
        self.init(endpoints: endpoints, tls: tls, credentials: credentials)
    }

    /// Reads `ETCD_ENDPOINTS` and its siblings.
    public init(environment: [String: String]) throws(DatastoreError) {
        try self.init { environment[$0.environmentName] }
    }
}

extension Substring {
    fileprivate func trimming(_ isLeftOut: (Character) -> Bool) -> Substring {
        var text = drop(while: isLeftOut)
        while let last = text.last, isLeftOut(last) { text.removeLast() }
        return text
    }
}
