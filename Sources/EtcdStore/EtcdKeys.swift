import ClusterClient

/// The keys of etcd that answer a query: one, or all with a prefix.
struct EtcdRange: Hashable, Sendable {
    private let root: EtcdRoot
    /// The record that is asked for; `nil` for all with the prefix.
    private let record: RecordKey?
    /// The key, or the prefix that ends with `/`.
    let start: String

    /// The first key behind the range; `nil` for a single key.
    var end: String? {
        guard record == nil else { return nil }
        // `0` is what follows `/`.
        return start.dropLast() + "0"
    }

    func contains(_ key: String) -> Bool {
        end == nil ? key == start : key.utf8.starts(with: start.utf8)
    }

    /// Throws ``DatastoreError/Reason/invalidKey`` for a name that is empty or has a `/` (E6): it would become another
    /// record's key.
    init(_ query: RecordQuery, under root: EtcdRoot) throws(DatastoreError) {
        self.root = root
        switch query {
        case .record(let key):
            record = key
            start = try root.key(key)
        case .collection(let collection):
            record = nil
            start = try root.join(collection.calicoPath, nil) + "/"
        }
    }

    /// The affinities of all hosts.
    init(hostAffinitiesUnder root: EtcdRoot) {
        self.root = root
        record = nil
        start = root.prefix + "/ipam/v2/host/"
    }

    /// The record's key of a key in the range; `nil` when others keep something there that is no record of ours (E4).
    func recordKey(_ key: String) -> RecordKey? {
        if let record { return record }
        guard contains(key) else { return nil }
        let path = key.dropFirst(root.prefix.count + 1).split(separator: "/", omittingEmptySubsequences: false)
        return RecordKey(calicoPath: path.map(String.init))
    }
}

/// What all keys begin with: `/calico`, where Calico looks for them.
struct EtcdRoot: Hashable, Sendable {
    let prefix: String

    static let calico = EtcdRoot(prefix: "/calico")

    func key(_ key: RecordKey) throws(DatastoreError) -> String {
        try join(key.calicoPath, key)
    }

    fileprivate func join(_ path: [String], _ key: RecordKey?) throws(DatastoreError) -> String {
        var text = prefix
        for part in path {
            guard !part.isEmpty, !part.utf8.contains(UInt8(ascii: "/")) else {
                throw DatastoreError(
                    .invalidKey,
                    key,
                    part.isEmpty
                        ? "a name in the key is empty" : "\"\(part)\" has a \"/\", which names in etcd cannot have"
                )
            }
            text += "/" + part
        }
        return text
    }
}
