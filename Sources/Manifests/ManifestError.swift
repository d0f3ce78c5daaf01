/// Why a manifest cannot be used.
struct ManifestError: Error, Hashable {
    /// Counted from 1; `nil` when no line is to blame.
    let line: Int?
    let reason: String
}
