import JSON
import YAML

/// calicoctl's file of settings (`kind: CalicoAPIConfig`), which says which store is meant.
struct StoreFile {
    /// Its settings by the names that they have in the environment.
    let variables: [String: String]

    /// From names of settings in the `spec` of the file.
    private static let names = [
        "datastoreType": "DATASTORE_TYPE", "etcdEndpoints": "ETCD_ENDPOINTS", "etcdKeyFile": "ETCD_KEY_FILE",
        "etcdCertFile": "ETCD_CERT_FILE", "etcdCACertFile": "ETCD_CA_CERT_FILE", "etcdUsername": "ETCD_USERNAME",
        "etcdPassword": "ETCD_PASSWORD", "etcdDiscoverySrv": "ETCD_DISCOVERY_SRV", "kubeconfig": "KUBECONFIG",
        "k8sAPIEndpoint": "K8S_API_ENDPOINT", "calicoAPIGroup": "CALICO_API_GROUP",
    ]

    init(path: String) throws {
        let bytes = try RecordInput(path).all()
        func invalid(_ problem: String) -> Failure { Failure(status: .error, message: "\(path): \(problem)") }
        var document: JSONValue?
        do {
            try bytes.withUnsafeBufferPointer { buffer in
                try YAMLConverter.forEachDocument(of: buffer) { json, _ in
                    document = try document ?? JSONValue(parsing: json.span)
                }
            }
        } catch let error as YAMLError {
            throw invalid("\(error)")
        } catch let error as JSONReader.Failure {
            throw invalid("\(error)")
        }
        guard case .object(let object)? = document, object["kind"] == "CalicoAPIConfig" else {
            throw invalid("kind is to be CalicoAPIConfig")
        }
        var variables: [String: String] = [:]
        if case .object(let spec)? = object["spec"] {
            for member in spec.members {
                guard let name = Self.names[member.key] else {
                    let known = Self.names.keys.sorted().joined(separator: ", ")
                    throw invalid("spec.\(member.key) is not supported; there are \(known)")
                }
                switch member.value {
                case .string(let text): variables[name] = text
                case .null: continue
                default: throw invalid("spec.\(member.key) is \(member.value.noun), not a string")
                }
            }
        }
        self.variables = variables
    }
}
