import Measuring
import Netlink

/// A plugin under measurement: how it is called and configured.
struct Contestant {
    let name: String
    let plugin: Plugin
    /// The members of its network configuration.
    let configuration: String

    /// Our plugin on its local store, with every write synced to disk.
    static func local(_ path: String, data: String) -> Contestant {
        swiftlet("swiftlet, local store", path, data: data, #""datastore_type": "local""#)
    }

    /// Our plugin on an etcd that syncs every write.
    static func etcd(_ path: String, data: String, endpoint: String) -> Contestant {
        swiftlet(
            "swiftlet, etcd",
            path,
            data: data,
            #""datastore_type": "etcdv3", "etcd_endpoints": "\#(endpoint)""#
        )
    }

    private static func swiftlet(_ name: String, _ path: String, data: String, _ store: String) -> Contestant {
        Contestant(
            name: name,
            plugin: Plugin(path),
            configuration: """
                "cniVersion": "1.0.0", "name": "bench", "type": "swiftlet", \(store),
                "data_dir": "\(data)", "nodename": "bench", "nodename_file_optional": true,
                "ipam": {"type": "swiftlet-ipam", "pools": [{"name": "bench", "cidr": "10.90.0.0/16", "blockSize": 26}]}
                """
        )
    }

    /// The reference plugins `ptp` and `host-local`, which sync nothing.
    static func reference(directory: String, data: String) -> Contestant {
        Contestant(
            name: "ptp with host-local",
            plugin: Plugin("\(directory)/ptp", searchPath: directory),
            configuration: """
                "cniVersion": "1.0.0", "name": "bench", "type": "ptp", "ipMasq": false,
                "ipam": {"type": "host-local", "dataDir": "\(data)/host-local", "routes": [{"dst": "0.0.0.0/0"}],
                         "ranges": [[{"subnet": "10.91.0.0/16"}]]}
                """
        )
    }

    /// Starts ADD for a pod.
    func add(_ container: String, _ pod: NetworkNamespace) throws -> ProgramRun {
        try plugin.start("ADD", container: container, pod: pod, configuration: "{\(configuration)}")
    }

    /// Starts DEL, with the result of ADD if there was one, as runtimes do.
    func delete(_ container: String, _ pod: NetworkNamespace, result: String?) throws -> ProgramRun {
        let previous = result.map { #", "prevResult": \#($0)"# } ?? ""
        return try plugin.start("DEL", container: container, pod: pod, configuration: "{\(configuration)\(previous)}")
    }

    func version() throws -> ProgramRun {
        try plugin.start("VERSION", configuration: #"{"cniVersion": "1.0.0"}"#)
    }
}
