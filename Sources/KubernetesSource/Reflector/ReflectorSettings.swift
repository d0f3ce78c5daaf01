/// The bounds and intervals of a ``Reflector``.
public struct ReflectorSettings: Hashable, Sendable {
    /// How many objects a page of a list has.
    public var pageSize = 500
    /// After the first failure in a row; doubles with each further one (client-go: 800 ms to 30 s).
    public var firstDelay = Duration.milliseconds(800)
    public var longestDelay = Duration.seconds(30)
    /// The longest delay where the server does not have the kind, which seldom changes.
    public var longestAbsence = Duration.seconds(600)
    /// The longest that a server may send us away with Retry-After.
    public var longestRetryAfter = Duration.seconds(120)
    /// How long a watch may say nothing. Bookmarks come about every minute, so this is two of them lost.
    public var silence = Duration.seconds(150)
    /// How long a streaming list may say nothing before its end; a server that does not know streaming lists never
    /// tells the end.
    public var initialEventsSilence = Duration.seconds(10)
    /// How long a streaming list may take.
    public var initialEventsLimit = Duration.seconds(120)
    /// What servers are asked to end a watch after, in seconds; spreads the load of renewed watches.
    public var watchSeconds = 300...600
    /// A watch that told nothing new and ended sooner than this is a failure.
    public var shortestWatch = Duration.seconds(1)
    /// For how long a state older than the one that is known is taken for that of a server that lags behind. After
    /// that it is what there is: the cluster's store was restored from a backup.
    public var lagTolerance = Duration.seconds(60)
    /// After so many watches in a row that could not be read, or said nothing at all, everything is listed anew.
    public var fruitlessWatches = 4

    public init() {}
}
