import Logging

/// Says in the log what a Service asks for and cannot be used, whenever that changes.
struct PlanComplaints {
    private var ranges: [Catalog.ServiceID: [String]] = [:]
    private var annotations: [Catalog.ServiceID: [String]] = [:]

    mutating func report(_ plan: ServicePlan, of service: Catalog.ServiceID, to logger: Logger) {
        if ranges.hasNews(plan.unreadableSourceRanges, of: service) {
            Self.warn("source ranges ignored: not a CIDR", "ranges", plan.unreadableSourceRanges, service, logger)
        }
        if annotations.hasNews(plan.unreadableAnnotations, of: service) {
            Self.warn("annotations ignored", "annotations", plan.unreadableAnnotations, service, logger)
        }
    }

    private static func warn(
        _ message: Logger.Message,
        _ what: String,
        _ list: [String],
        _ service: Catalog.ServiceID,
        _ logger: Logger
    ) {
        logger.warning(
            message,
            metadata: ["service": "\(service.name)", what: .array(list.map { .string($0) })]
        )
    }
}

extension [Catalog.ServiceID: [String]] {
    /// Whether a Service has a list that is not empty and was another before. Remembers it.
    fileprivate mutating func hasNews(_ list: [String], of service: Catalog.ServiceID) -> Bool {
        guard !list.isEmpty else {
            removeValue(forKey: service)
            return false
        }
        return updateValue(list, forKey: service) != list
    }
}
