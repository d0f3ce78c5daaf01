/// What a watch sends, decided when it is asked for.
struct WatchPlan: Sendable {
    enum Start: Hashable, Sendable {
        /// What is there now comes first, as ADDED events.
        case now
        /// What has changed since.
        case after(UInt64)
    }

    var type: ResourceType
    var selection: Selection
    var representation: Representation
    var start: Start
    /// Whether a bookmark says that all that was there has been sent.
    var endsInitialEvents = false
    var sendsBookmarks: Bool
    /// In seconds.
    var timeout: Int
}

extension APIService {
    func watch(
        _ request: Request,
        _ type: ResourceType,
        _ path: ResourcePath,
        _ representation: Representation
    ) throws(APIError) -> WatchPlan {
        let selection = try selection(request, type, path)
        let version = try resourceVersion(request)
        let match = request.query["resourceVersionMatch"] ?? ""
        var plan = WatchPlan(
            type: type,
            selection: selection,
            representation: representation,
            start: version.map { $0 == 0 ? .now : .after($0) } ?? .now,
            sendsBookmarks: request.flag("allowWatchBookmarks"),
            timeout: request.query["timeoutSeconds"].flatMap { Int($0) } ?? 0
        )
        // A real server takes a random time between half an hour and an hour when none is asked for.
        if plan.timeout <= 0 { plan.timeout = 1800 + .random(in: 0..<1800) }

        guard let initial = request.query["sendInitialEvents"], !initial.isEmpty else {
            guard match.isEmpty else {
                throw Self.invalidOptions([
                    .forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                    )
                ])
            }
            return plan
        }
        var causes: [APIError.Cause] = []
        if match != "NotOlderThan" {
            causes.append(
                .forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                )
            )
        }
        if !options.streamingLists {
            causes.append(
                .forbidden(
                    "sendInitialEvents",
                    "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
                )
            )
        }
        guard causes.isEmpty else { throw Self.invalidOptions(causes) }
        if request.flag("sendInitialEvents") {
            let current = store.revision
            if let version, version > current { throw .tooLarge(version, current: current) }
            plan.start = .now
            plan.endsInitialEvents = plan.sendsBookmarks
        } else if version ?? 0 == 0 {
            plan.start = .after(store.revision)
        }
        return plan
    }
}
