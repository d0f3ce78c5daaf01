/// What a ``Reflector`` wants done next.
enum ReflectorStep: Hashable, Sendable {
    case wait(Duration)
    case list(ListQuery)
    case watch(WatchQuery)
}

/// A request for a list, or for a page of one.
struct ListQuery: Hashable, Sendable {
    /// 0 for all.
    var limit: Int
    var continueToken = ""
    /// Empty asks for the state at this moment; else one that is not older is asked for.
    var resourceVersion = ""

    /// In the names of the API.
    var parameters: [(String, String)] {
        var parameters: [(String, String)] = []
        if limit > 0 { parameters.append(("limit", "\(limit)")) }
        if !continueToken.isEmpty {
            parameters.append(("continue", continueToken))  // The token says the version.
        } else if !resourceVersion.isEmpty {
            parameters += [("resourceVersion", resourceVersion), ("resourceVersionMatch", "NotOlderThan")]
        }
        return parameters
    }
}

/// A request for a watch.
struct WatchQuery: Hashable, Sendable {
    /// Where to begin; with ``sendsInitialEvents``, what the list must not be older than (empty: this moment).
    var resourceVersion: String
    /// Whether this is a streaming list.
    var sendsInitialEvents: Bool
    var timeoutSeconds: Int

    /// In the names of the API.
    var parameters: [(String, String)] {
        var parameters = [("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", "\(timeoutSeconds)")]
        if !resourceVersion.isEmpty { parameters.append(("resourceVersion", resourceVersion)) }
        if sendsInitialEvents {
            parameters += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        }
        return parameters
    }
}

/// Why a request gave nothing, as far as it decides what comes next.
struct ReflectorFailure: Error, Hashable, Sendable {
    enum Reason: Hashable, Sendable {
        /// 410: the version or the continue token is gone.
        case expired
        /// The server does not know a version as new as the one that was asked for.
        case versionTooLarge
        /// 400 or 422: the server does not want the request in this form.
        case refused
        /// The server does not have the kind, or does not show it, and one can do without it.
        case absent
        /// What came cannot be read.
        case unreadable
        /// Anything else, from 401 to a dead network: it is tried again.
        case other
    }

    var reason: Reason
    /// When the server wants to be asked again.
    var retryAfter: Duration?
    /// For the log; says what failed. Holds nothing secret.
    var message: String

    init(_ reason: Reason, retryAfter: Duration? = nil, _ message: String) {
        self.reason = reason
        self.retryAfter = retryAfter
        self.message = message
    }
}

/// How a watch that had begun ended.
enum WatchEnd: Hashable, Sendable {
    /// In order, by the server.
    case finished
    /// In the middle.
    case cut(message: String)
    /// It said nothing for too long.
    case silent
    /// With an error: a Status of the server, or bytes that are no watch.
    case failed(ReflectorFailure)
}

/// Something about requests that a person may want to know.
enum ReflectorNotice: Hashable, Sendable {
    /// Something fails; told again only when it fails in another way.
    case failing(message: String, retryIn: Duration)
    case recovered
    /// There is nothing to follow; it is asked for again now and then.
    case absent(message: String)
    /// Streaming lists are given up in favour of pages.
    case pagesInstead(reason: String)
    /// What the server says is older than what is known.
    case lagging(version: String, known: String)
    /// An older state is taken after all.
    case restored(version: String, known: String)
    /// Everything is listed anew, since the watch cannot be continued.
    case listingAnew(reason: String)
}
