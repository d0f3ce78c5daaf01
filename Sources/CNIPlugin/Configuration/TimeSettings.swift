import CNI

/// How long verbs may take.
struct TimeSettings {
    /// `add_timeout_seconds`: a whole ADD, less than the runtime waits for it (3.11: containerd for the kubelet's two
    /// minutes, older CRI-O for one). Taking back what was done comes on top, see ``Rollback/limit``.
    let add: Duration

    /// Throws code 7 for a time that is none.
    init(_ configuration: ObjectReader) throws(CNIError) {
        let seconds = try configuration.int("add_timeout_seconds") ?? 40
        guard (1...600).contains(seconds) else {
            throw CNIError(.invalidConfiguration, "\"add_timeout_seconds\" must be 1 to 600, not \(seconds)")
        }
        add = .seconds(seconds)
    }
}
