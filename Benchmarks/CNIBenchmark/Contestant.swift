import Netlink

/// A plugin under measurement: how it is called and configured.
struct Contestant {
    let process: PluginProcess
    /// The members of its network configuration, but for the braces.
    let configuration: String

    /// Our plugin on its local store, with every write synced to disk.
    static func swiftlet(_ path: String, data: String) -> Contestant {
        Contestant(
            process: PluginProcess(path: path, searchPath: "/nonexistent"),
            configuration: """
                "cniVersion": "1.0.0", "name": "bench", "type": "swiftlet", "datastore_type": "local",
                "data_dir": "\(data)/swiftlet", "ipam_lock_file": "\(data)/ipam.lock", "nodename": "bench",
                "nodename_file_optional": true,
                "ipam": {"type": "swiftlet-ipam", "pools": [{"name": "bench", "cidr": "10.90.0.0/16", "blockSize": 26}]}
                """
        )
    }

    /// The reference plugins `ptp` and `host-local`, which sync nothing.
    static func reference(directory: String, data: String) -> Contestant {
        Contestant(
            process: PluginProcess(path: "\(directory)/ptp", searchPath: directory),
            configuration: """
                "cniVersion": "1.0.0", "name": "bench", "type": "ptp", "ipMasq": false,
                "ipam": {"type": "host-local", "dataDir": "\(data)/host-local", "routes": [{"dst": "0.0.0.0/0"}],
                         "ranges": [[{"subnet": "10.91.0.0/16"}]]}
                """
        )
    }

    /// Calls ADD for a pod whose namespace this process holds open.
    func add(
        _ container: String,
        _ pod: NetworkNamespace,
        watchingMemory: Bool
    ) throws -> PluginProcess.Outcome {
        try call("ADD", container, pod, "{\(configuration)}", watchingMemory: watchingMemory)
    }

    /// Calls DEL with the result of ADD, as runtimes do.
    func delete(_ container: String, _ pod: NetworkNamespace, result: String) throws -> PluginProcess.Outcome {
        try call("DEL", container, pod, "{\(configuration), \"prevResult\": \(result)}")
    }

    func version() throws -> PluginProcess.Outcome {
        try process.call("VERSION", configuration: #"{"cniVersion": "1.0.0"}"#)
    }

    private func call(
        _ command: String,
        _ container: String,
        _ pod: NetworkNamespace,
        _ configuration: String,
        watchingMemory: Bool = false
    ) throws -> PluginProcess.Outcome {
        try process.call(
            command,
            container: container,
            namespace: "/proc/\(PluginProcess.ownID)/fd/\(pod.descriptor)",
            configuration: configuration,
            watchingMemory: watchingMemory
        )
    }
}
