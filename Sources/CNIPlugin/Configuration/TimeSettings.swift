import CNI

/// How long verbs may take.
struct TimeSettings {
    /// `add_timeout_seconds`: a whole ADD, less than the runtime waits for it (3.11: containerd for the kubelet's two
    /// minutes, older CRI-O for one). Taking back what was done comes on top, see ``Rollback/limit``.
    ///
    /// Together they are no longer than the two minutes for which a check of the store's consistency leaves alone what
    /// is half made.
    let add: Duration

    private static let range = 1...110

    /// Throws code 7 for a time that is none.
    init(_ configuration: ObjectReader) throws(CNIError) {
        let seconds = try configuration.int("add_timeout_seconds") ?? 40
        guard Self.range.contains(seconds) else {
            throw CNIError(
                .invalidConfiguration,
                "\"add_timeout_seconds\" must be \(Self.range.lowerBound) to \(Self.range.upperBound), not \(seconds)"
            )
        }
        add = .seconds(seconds)
    }
}
