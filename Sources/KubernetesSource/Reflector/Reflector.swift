import KubernetesClient

/// Decides which requests keep up with the objects of one kind: the list/watch protocol as a value, without I/O.
///
/// A driver asks for the ``next(at:using:)`` step, takes it, and tells what came of it. The rules are those of client-go's
/// reflector, with these choices:
/// - A list is asked for without a version, which is the state at this moment. kube-proxy's `resourceVersion=0` may be
///   answered by a server that lags behind, and ignores `limit`, so that one response has everything.
/// - A streaming list that breaks off is followed by one in pages, of which no more than one is lost at a time. The
///   server's refusal, and two that went silent, are for good.
/// - What is older than the known version is never taken, unless it stays so for ``ReflectorSettings/lagTolerance``.
struct Reflector: Sendable {
    private enum State: Hashable {
        case unlisted
        /// Pages came, and this token asks for the next one.
        case paging(token: String)
        case streaming
        case listed
        case watching(since: ContinuousClock.Instant, isProductive: Bool, isHeard: Bool)
    }

    /// What a piece of a list means.
    enum ListVerdict: Hashable, Sendable {
        /// It belongs to the list, and more is to come.
        case more
        /// It is the last of the list. With `restored`, the list is true although it is older than what is known.
        case complete(restored: Bool)
        /// The list is of no use.
        case discard
    }

    enum BookmarkVerdict: Hashable, Sendable {
        case goOn
        /// The initial events are complete.
        case complete(restored: Bool)
        /// The watch is of no use.
        case stop
    }

    /// Everything up to here is known; empty at first.
    private(set) var version = ""
    /// Since the last ``takeNotices()``.
    private var notices: [ReflectorNotice] = []

    private let settings: ReflectorSettings
    private var state = State.unlisted
    private var notBefore: ContinuousClock.Instant?
    /// Nothing new has come since the last failure.
    private var isFailing = false
    private var backoff: Backoff
    /// The failure that was told last.
    private var reported: String?
    /// What is told once, in whatever words the server says it.
    private static let absence = "absent"

    private var refusesStreaming = false
    private var silentLists = 0
    /// The next list comes in pages, whatever the one after that.
    private var takesPagesOnce = false
    /// A continue token expired: the next list comes as a whole.
    private var takesWhole = false
    /// The next list must not be older than ``version``; else it is the one of the moment.
    private var asksForKnown = false
    private var laggingSince: ContinuousClock.Instant?
    private var fruitlessWatches = 0

    init(settings: ReflectorSettings = ReflectorSettings()) {
        self.settings = settings
        // Half of the longest, as up to twice as much is waited: also the longest differs from node to node.
        backoff = Backoff(initial: settings.firstDelay, limit: settings.longestDelay / 2)
    }

    /// Takes over what an earlier process knew.
    mutating func adopt(version: String) {
        if self.version.isEmpty { self.version = version }
    }

    mutating func takeNotices() -> [ReflectorNotice] {
        defer { notices = [] }
        return notices
    }

    /// How long the watch that is open may say nothing.
    var silence: Duration { state == .streaming ? settings.initialEventsSilence : settings.silence }

    // MARK: What to do

    mutating func next(
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> ReflectorStep {
        if let notBefore, now < notBefore { return .wait(now.duration(to: notBefore)) }
        notBefore = nil
        let known = asksForKnown ? version : ""
        switch state {
        case .paging(let token): return .list(ListQuery(limit: settings.pageSize, continueToken: token))
        case .unlisted where takesPages:
            return .list(ListQuery(limit: takesWhole ? 0 : settings.pageSize, resourceVersion: known))
        case .unlisted, .streaming:
            state = .streaming
            return .watch(query(from: known, sendsInitialEvents: true, &random))
        case .listed, .watching:
            state = .watching(since: now, isProductive: false, isHeard: false)
            return .watch(query(from: version, sendsInitialEvents: false, &random))
        }
    }

    private var takesPages: Bool { refusesStreaming || takesPagesOnce || takesWhole || silentLists > 1 }

    private func query(
        from version: String,
        sendsInitialEvents: Bool,
        _ random: inout some RandomNumberGenerator
    ) -> WatchQuery {
        WatchQuery(
            resourceVersion: version,
            sendsInitialEvents: sendsInitialEvents,
            timeoutSeconds: Int.random(in: settings.watchSeconds, using: &random)
        )
    }

    // MARK: What came of it

    /// A page of a list came, or all of it.
    mutating func received(
        page found: String,
        continueToken: String,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> ListVerdict {
        guard !found.isEmpty else {
            fail(ReflectorFailure(.unreadable, "the list has no resourceVersion"), at: now, using: &random)
            return .discard
        }
        if case .paging(continueToken) = state {
            failed(ReflectorFailure(.unreadable, "the list does not end"), at: now, using: &random)
            return .discard
        }
        guard let restored = judge(found, at: now, using: &random) else { return .discard }
        guard continueToken.isEmpty else {
            state = .paging(token: continueToken)
            return .more
        }
        complete(found)
        return .complete(restored: restored)
    }

    /// A request failed before anything came.
    mutating func failed(
        _ failure: ReflectorFailure,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        switch (state, failure.reason) {
        case (.paging, .expired):
            state = .unlisted
            notices.append(.listingAnew(reason: failure.message))
            if takesWhole { return back(off: failure, at: now, using: &random) }
            takesWhole = true
        case (.paging, .other): back(off: failure, at: now, using: &random)  // The same page again.
        case (.streaming, .refused):
            refusesStreaming = true
            state = .unlisted
            notices.append(.pagesInstead(reason: failure.message))
        case (.watching, .other), (.watching, .unreadable):
            state = .listed
            back(off: failure, at: now, using: &random)
        default: fail(failure, at: now, using: &random)
        }
    }

    /// The server has taken on a watch.
    mutating func opened() {
        recover()
    }

    /// A watch told of an object. `false` when it is older than what is known, and must not be taken.
    mutating func received(eventAt found: String) -> Bool {
        guard case .watching(let since, _, _) = state else { return true }
        guard !ResourceVersion.isOlder(found, than: version) else { return false }
        let isNews = found != version
        if !found.isEmpty { version = found }
        heard(since, isNews: isNews)
        return true
    }

    /// A watch told a version up to which it has told everything.
    mutating func received(
        bookmark found: String,
        initialEventsEnd: Bool,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> BookmarkVerdict {
        switch state {
        case .streaming:
            guard initialEventsEnd else { return .goOn }
            guard !found.isEmpty else {
                fail(ReflectorFailure(.unreadable, "the list has no resourceVersion"), at: now, using: &random)
                return .stop
            }
            guard let restored = judge(found, at: now, using: &random) else { return .stop }
            complete(found)
            silentLists = 0
            state = .watching(since: now, isProductive: false, isHeard: true)
            return .complete(restored: restored)
        case .watching(let since, _, _):
            // The server would tell nothing before it has caught up, if it ever does.
            guard judge(found, at: now, using: &random) == false else { return .stop }
            let isNews = found != version
            if !found.isEmpty { version = found }
            heard(since, isNews: isNews)
            return .goOn
        default: return .stop
        }
    }

    /// A watch ended that had been taken on.
    mutating func ended(
        _ end: WatchEnd,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        switch state {
        case .streaming: streamingListEnded(end, at: now, using: &random)
        case .watching(let since, let isProductive, let isHeard):
            if isHeard { fruitlessWatches = 0 }
            let isShort = !isProductive && since.duration(to: now) < settings.shortestWatch
            if !isShort { forgiveFailures() }
            watchEnded(end, isHeard: isHeard, isShort: isShort, at: now, using: &random)
        default: break  // It was given up, and what comes next is decided.
        }
    }

    /// Gives up what is going on, and lists again later.
    mutating func abandon(
        _ failure: ReflectorFailure,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        fail(failure, at: now, using: &random)
    }

    private mutating func streamingListEnded(
        _ end: WatchEnd,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        state = .unlisted
        switch end {
        case .silent:
            silentLists += 1
            takesPagesOnce = true
            notices.append(.pagesInstead(reason: "the server does not tell the end of a streaming list"))
        case .failed(let failure) where failure.reason == .refused:
            refusesStreaming = true
            notices.append(.pagesInstead(reason: failure.message))
        case .failed(let failure):
            takesPagesOnce = failure.reason == .unreadable
            fail(failure, at: now, using: &random)
        case .finished:
            takesPagesOnce = true
            fail(ReflectorFailure(.other, "the server ended a streaming list too early"), at: now, using: &random)
        case .cut(let message):
            takesPagesOnce = true
            fail(ReflectorFailure(.other, message), at: now, using: &random)
        }
    }

    private mutating func watchEnded(
        _ end: WatchEnd,
        isHeard: Bool,
        isShort: Bool,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        state = .listed
        switch end {
        case .finished:
            if isShort { back(off: ReflectorFailure(.other, "the watch ended at once"), at: now, using: &random) }
        case .cut(let message):
            if isShort { back(off: ReflectorFailure(.other, message), at: now, using: &random) }
        case .silent: if !isHeard { countFruitless("watches say nothing") }
        case .failed(let failure):
            switch failure.reason {
            case .unreadable:
                if !isHeard { countFruitless(failure.message) }
                back(off: failure, at: now, using: &random)
            case .other, .absent: back(off: failure, at: now, using: &random)
            case .expired, .versionTooLarge, .refused: fail(failure, at: now, using: &random)
            }
        }
    }

    /// What is known of a watch that cannot be read, or is silent, may be what keeps it so.
    private mutating func countFruitless(_ reason: String) {
        fruitlessWatches += 1
        guard fruitlessWatches >= settings.fruitlessWatches else { return }
        fruitlessWatches = 0
        state = .unlisted
        notices.append(.listingAnew(reason: reason))
    }

    // MARK: Versions

    /// Whether a state of this version is one from before the cluster was restored (`true`) or a present one (`false`).
    /// `nil` when it is of a server that lags behind, which is asked again.
    private mutating func judge(
        _ found: String,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) -> Bool? {
        guard ResourceVersion.isOlder(found, than: version) else {
            if state != .listed { laggingSince = nil }
            return false
        }
        let since = laggingSince ?? now
        let isWatch = if case .watching = state { true } else { false }
        if !isWatch, !asksForKnown, since.duration(to: now) >= settings.lagTolerance {
            notices.append(.restored(version: found, known: version))
            return true
        }
        if laggingSince == nil { notices.append(.lagging(version: found, known: version)) }
        laggingSince = since
        state = .unlisted
        // The version is asked for in turns: a server that has it waits until it does, one that never will says so.
        if !isWatch { asksForKnown.toggle() }
        let message = "the server's state \(found) is older than \(version), which is known"
        back(off: ReflectorFailure(.other, message), at: now, using: &random)
        return nil
    }

    private mutating func complete(_ found: String) {
        version = found
        state = .listed
        (takesPagesOnce, takesWhole, asksForKnown) = (false, false, false)
        laggingSince = nil
        recover()
    }

    // MARK: Failures

    private mutating func heard(_ since: ContinuousClock.Instant, isNews: Bool) {
        var isProductive = isNews
        if case .watching(_, true, _) = state { isProductive = true }
        state = .watching(since: since, isProductive: isProductive, isHeard: true)
        if isNews { forgiveFailures() }
        recover()
    }

    private mutating func forgiveFailures() {
        isFailing = false
        backoff.reset()
    }

    private mutating func recover() {
        guard reported != nil else { return }
        reported = nil
        notices.append(.recovered)
    }

    /// Lists again, later.
    private mutating func fail(
        _ failure: ReflectorFailure,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        let wasListed = if case .watching = state { true } else { state == .listed }
        state = .unlisted
        if failure.reason == .versionTooLarge || failure.reason == .refused { asksForKnown = false }
        if wasListed {
            notices.append(.listingAnew(reason: failure.message))
            // The first time at once; a server that says so after each list is not hurried.
            if failure.reason == .expired, !isFailing {
                isFailing = true
                _ = backoff.step(using: &random)
                return
            }
        }
        back(off: failure, at: now, using: &random)
    }

    private mutating func back(
        off failure: ReflectorFailure,
        at now: ContinuousClock.Instant,
        using random: inout some RandomNumberGenerator
    ) {
        isFailing = true
        backoff.limit = (failure.reason == .absent ? settings.longestAbsence : settings.longestDelay) / 2
        var delay = backoff.step(using: &random)
        if let retryAfter = failure.retryAfter {
            let spread = Double.random(in: 1..<1.1, using: &random)
            delay = max(delay, min(retryAfter, settings.longestRetryAfter) * spread)
        }
        notBefore = now.advanced(by: delay)
        if failure.reason == .absent {
            if reported != Self.absence { notices.append(.absent(message: failure.message)) }
            reported = Self.absence
            return
        }
        guard reported != failure.message else { return }
        reported = failure.message
        notices.append(.failing(message: failure.message, retryIn: delay))
    }
}
