import CNI

/// Where records are kept.
struct StoreSettings {
    static let defaultDirectory = "/var/lib/swiftlet"

    /// The directory of the local store, which also has the MTU file; an absolute path.
    let dataDirectory: String
    /// The file that serializes the IPAM of all plugins of this host (2.12), or `nil` for none: the local store has a
    /// lock of its own.
    let lockFile: String?

    var mtuFile: String { dataDirectory + "/mtu" }

    /// Throws code 2 for a kind of store that this plugin does not have.
    init(_ configuration: ObjectReader) throws(CNIError) {
        // As in Calico, etcd is meant when its endpoints are all that is said.
        let implied =
            configuration.has("etcd_endpoints") || configuration.has("etcd_discovery_srv") ? "etcdv3" : "local"
        let type = try configuration.nonEmptyString("datastore_type") ?? implied
        guard type == "local" else {
            throw CNIError(
                .unsupportedField,
                "\"datastore_type\" must be \"local\", not \(type.quoted)",
                details: type == implied ? "\"etcd_endpoints\" is set" : ""
            )
        }
        dataDirectory = try configuration.absolutePath("data_dir") ?? Self.defaultDirectory
        lockFile = try configuration.absolutePath("ipam_lock_file")
    }
}

extension ObjectReader {
    /// A path that does not depend on where the runtime happened to start the plugin. Throws code 7 for another.
    func absolutePath(_ key: String) throws(CNIError) -> String? {
        guard let path = try nonEmptyString(key) else { return nil }
        guard path.hasPrefix("/"), !path.utf8.contains(0) else {
            throw CNIError(
                .invalidConfiguration,
                "\"\(self.path(of: key))\" must be an absolute path",
                details: path.quoted
            )
        }
        return path
    }
}
