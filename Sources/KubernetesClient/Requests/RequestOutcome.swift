/// What became of one try of a request, for those who count.
public struct RequestOutcome: Hashable, Sendable {
    /// Of HTTP.
    public let method: String
    /// With the port; empty when no server was chosen yet.
    public let host: String
    /// `nil` when no answer came.
    public let code: Int?
    /// Until the answer, or its head, was there.
    public let duration: Duration

    init(_ request: ResourceRequest, _ server: String, _ code: Int?, since start: ContinuousClock.Instant) {
        method = request.method.rawValue
        let parts = server.split(separator: "/", omittingEmptySubsequences: true)
        host = String(parts.dropFirst().first ?? "")  // `https:`, `10.0.0.1:6443`, …
        self.code = code
        duration = ContinuousClock.now - start
    }
}
