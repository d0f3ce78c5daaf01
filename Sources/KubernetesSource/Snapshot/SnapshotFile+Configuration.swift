import ClusterClient
import FoundationEssentials
import KubernetesClient

extension SnapshotFile {
    /// The file for the cluster of a configuration: told by the addresses of its servers and by the authority that
    /// signs their certificates, as inside of a Pod all clusters have the same few addresses.
    public init(path: String, of configuration: KubernetesConfiguration) {
        let servers = configuration.servers.map { "\($0)" }.sorted().joined(separator: ",")
        self.init(path: path, cluster: "\(servers) \(Self.authority(configuration.certificateAuthority))")
    }

    private static func authority(_ source: BytesSource?) -> String {
        let bytes: [UInt8]? =
            switch source {
            case .data(let bytes): bytes
            // One that cannot be read is reported by the client, which cannot do without it.
            case .file(let path): (try? Data(contentsOf: URL(fileURLWithPath: path))).map { Array($0) }
            case nil: nil
            }
        guard let bytes else { return "authority:none" }
        var checksum = Checksum()
        checksum.update(bytes)
        return "authority:\(bytes.count)-\(String(checksum.value, radix: 16))"
    }
}
