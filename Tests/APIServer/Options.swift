extension TestAPIServer {
    /// How a server is set up.
    public struct Options: Sendable {
        public enum Security: Hashable, Sendable {
            /// TLS with a certificate for 127.0.0.1, ::1, localhost and kubernetes.default.svc.
            case tls
            /// Plain HTTP. A request without a token is that of ``Options/plainUser``.
            case plain
        }

        /// Where to listen; an IP address.
        public var host = "127.0.0.1"
        /// 0 takes a free one.
        public var port = 0
        public var security = Security.tls
        /// Who a request without a token comes from with plain HTTP, as behind `kubectl proxy`.
        public var plainUser = User.administrator
        /// Custom resources that exist from the start; more come with CustomResourceDefinitions.
        public var customResources: [ResourceType] = ResourceType.calico
        /// Resources that the server does not have, as an old one, or one that serves an API group no more.
        public var missingResources: [ResourceType] = []
        /// How often a watch with `allowWatchBookmarks` gets a bookmark.
        public var bookmarkInterval = Duration.seconds(60)
        /// Whether `sendInitialEvents` is served; if not it is refused with 422, as servers without the WatchList
        /// feature do.
        public var streamingLists = true
        /// How many changes are kept for watches; older ones expire as if by ``TestAPIServer/compact()``.
        public var historyLimit = 200_000
        /// The resourceVersion of the empty store.
        public var resourceVersion: UInt64 = 1
        /// Whether an object can only be created through the API in a namespace that exists. Off, as most tests have no
        /// use for namespaces.
        public var requiresNamespaces = false
        /// Who may do what; the administrator may do everything anyway.
        public var rules: [AccessRule] = []
        /// The bearer tokens that are good from the start; see ``TestAPIServer/setToken(_:user:)``.
        public var tokens: [String: User] = [:]
        /// The number of threads that serve.
        public var threads = 1

        public init() {}
    }
}
