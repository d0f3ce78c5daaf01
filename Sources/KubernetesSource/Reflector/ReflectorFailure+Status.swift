import KubernetesAPI

extension ReflectorFailure {
    /// The error that ends a watch.
    init(_ status: Status) {
        let details = status.details
        let reason: Reason =
            if status.code == 410 || ["Expired", "Gone"].contains(status.reason) {
                .expired
            } else if Self.isVersionTooLarge(status) {
                .versionTooLarge
            } else if status.code == 400 || status.code == 422 {
                .refused
            } else {
                .other
            }
        self.init(
            reason,
            retryAfter: details?.retryAfterSeconds.map { .seconds(max(0, min($0, 3600))) },
            "\(status.reason.isEmpty ? "error" : status.reason) (\(status.code)): \(status.message.prefix(1000))"
        )
    }

    /// A server that has not heard of a version waits some seconds and answers 504 with this cause.
    static func isVersionTooLarge(_ status: Status) -> Bool {
        status.details?.causes?.contains { $0.reason == "ResourceVersionTooLarge" } == true
            || status.code == 504 && status.message.contains("Too large resource version")
    }
}
