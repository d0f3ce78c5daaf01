import NIOCore
import Synchronization

/// A watch that is being served.
struct OpenWatch {
    var feed: WatchFeed
    let watcher: Int
    var timers: [Scheduled<Void>] = []
    var bookmark: Scheduled<Void>?
}

/// Lets many changes wake a watch once.
private final class WakeFlag: Sendable {
    private let isSet = Atomic(false)

    /// Whether it was not set before.
    func set() -> Bool { !isSet.exchange(true, ordering: .acquiringAndReleasing) }

    func clear() { isSet.store(false, ordering: .releasing) }
}

extension ConnectionHandler {
    func open(_ plan: WatchPlan) {
        guard let context else { return }
        let eventLoop = context.eventLoop
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        let flag = WakeFlag()
        let watcher = server.service.store.addWatcher(plan.type) {
            guard flag.set() else { return }
            eventLoop.execute {
                flag.clear()
                this.value.pumpWatch()
            }
        }
        server.countWatches(1)
        watch = OpenWatch(feed: WatchFeed(plan, server.service.store), watcher: watcher)
        writeHead(200, plan.representation.watchContentType, contentLength: nil)
        context.flush()

        let loop = eventLoop.assumeIsolated()
        watch?.timers.append(
            loop.scheduleTask(in: .seconds(Int64(plan.timeout))) {
                self.pumpWatch()
                self.endWatch()
            }
        )
        if plan.sendsBookmarks {
            // A real server sends a last one shortly before the end.
            if plan.timeout > 1 {
                watch?.timers.append(
                    loop.scheduleTask(in: .milliseconds(Int64(plan.timeout) * 1000 - 800)) { self.sendBookmark() }
                )
            }
            scheduleBookmark()
        }
        pumpWatch()
    }

    private func scheduleBookmark() {
        guard let context, watch != nil else { return }
        let interval = TimeAmount(server.service.options.bookmarkInterval)
        let timer = context.eventLoop.assumeIsolated().scheduleTask(in: interval) {
            self.sendBookmark()
            self.scheduleBookmark()
        }
        watch?.bookmark = timer
    }

    /// Tells how far the watch has come. One that lags behind has no use for it.
    private func sendBookmark() {
        pumpWatch()
        guard let feed = watch?.feed, isWritable else { return }
        write(chunk: ByteBuffer(bytes: feed.encoder.bookmark(feed.revision)))
        context?.flush()
    }

    /// Writes events while the client takes them.
    func pumpWatch() {
        guard watch != nil else { return }
        guard watch.map({ server.service.registry.contains($0.feed.plan.type) }) ?? false else { return endWatch() }
        while isWritable, let step = watch?.feed.next() {
            switch step {
            case .idle: return
            case .frames(let frames):
                for frame in frames { write(chunk: ByteBuffer(bytes: frame)) }
                context?.flush()
            case .end(let frame):
                write(chunk: ByteBuffer(bytes: frame))
                return endWatch()
            }
        }
    }

    func endWatch() {
        guard watch != nil else { return }
        closeWatch()
        writeLastChunk()
        finish()
    }

    func closeWatch() {
        guard let watch else { return }
        self.watch = nil
        for timer in watch.timers { timer.cancel() }
        watch.bookmark?.cancel()
        server.service.store.removeWatcher(watch.watcher)
        server.countWatches(-1)
    }

    /// Does something to the watch, if there is one of this resource. Whether there was.
    func interrupt(_ interruption: WatchInterruption, _ type: ResourceType?) -> Bool {
        guard let feed = watch?.feed, type == nil || feed.plan.type == type else { return false }
        switch interruption {
        case .end: endWatch()
        case .expire:
            let revision = server.service.store.revision
            write(
                chunk: ByteBuffer(bytes: feed.encoder.error(.tooOld(watch: feed.revision, oldest: revision + 1)))
            )
            endWatch()
        case .fail:
            write(chunk: ByteBuffer(bytes: feed.encoder.error(.of(500))))
            endWatch()
        case .cut(let ending): end(ending)
        case .stall: shaper.stall()
        case .insert(let bytes):
            write(chunk: ByteBuffer(bytes: bytes))
            context?.flush()
        }
        return true
    }
}
