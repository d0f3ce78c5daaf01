import Dispatch
import Glibc

/// Tells when the local store was written to, by whatever process (inotify(7) on its directory).
///
/// Each commit ends with writing its note into the lock file, so one notice comes per commit, when its records are in
/// place. A store that does not exist yet, or is replaced as a whole, is looked for once a second.
struct StoreNotices: AsyncSequence, Sendable {
    /// The directory `store`.
    let path: String

    private static let searchInterval = Duration.seconds(1)

    struct Iterator: AsyncIteratorProtocol {
        fileprivate let path: String
        private var watch: Watch?

        fileprivate init(path: String) {
            self.path = path
            watch = Watch(path)
        }

        mutating func next() async -> Void? { await next(isolation: nil) }

        /// Returns after a write, when the store has appeared or gone, and now and then without reason.
        mutating func next(isolation actor: isolated (any Actor)?) async -> Void? {
            if let watch, await watch.next() { return () }
            guard !Task.isCancelled else { return nil }
            watch = Watch(path)
            guard watch == nil else { return () }
            do { try await Task.sleep(for: StoreNotices.searchInterval) } catch { return nil }
            watch = Watch(path)
            return ()
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(path: path) }

    /// The notices of one directory, until it is moved or removed.
    private final class Watch: Sendable {
        private let wakeUps: AsyncStream<Void>
        // Dispatch objects may be used from any thread; only their Swift types do not say so.
        nonisolated(unsafe) private let source: any DispatchSourceRead

        /// `nil` when there is no such directory, or the kernel has no watch left for us.
        init?(_ path: String) {
            let descriptor = inotify_init1(CInt(IN_NONBLOCK) | CInt(IN_CLOEXEC))
            guard descriptor >= 0 else { return nil }
            let events = UInt32(IN_MODIFY) | UInt32(IN_CREATE) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
            guard inotify_add_watch(descriptor, path, events | UInt32(IN_ONLYDIR)) >= 0 else {
                close(descriptor)
                return nil
            }
            let (wakeUps, wakeUp) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            self.wakeUps = wakeUps
            source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
            source.setEventHandler {
                switch Self.drain(descriptor) {
                case .nothing: break
                case .changed: wakeUp.yield()
                case .gone: wakeUp.finish()
                }
            }
            source.setCancelHandler { close(descriptor) }
            source.resume()
        }

        deinit {
            source.cancel()
        }

        /// `false` when the directory is gone, or the task was cancelled.
        func next() async -> Bool {
            var iterator = wakeUps.makeAsyncIterator()
            return await iterator.next() != nil
        }

        private enum Notice { case nothing, changed, gone }

        private static func drain(_ descriptor: CInt) -> Notice {
            var notice = Notice.nothing
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return notice }
                buffer[..<count].withUnsafeBytes { bytes in
                    var offset = 0
                    let header = MemoryLayout<inotify_event>.size
                    while offset + header <= bytes.count {
                        let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                        let end = UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF) | UInt32(IN_IGNORED)
                        if event.mask & end != 0 { notice = .gone } else if notice == .nothing { notice = .changed }
                        offset += header + Int(event.len)
                    }
                }
            }
        }
    }
}
