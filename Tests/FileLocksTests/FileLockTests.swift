import FileLocks
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct FileLockTests {
    /// An open file description of its own, as another process has.
    private final class Opened: Sendable {
        let descriptor: Int32
        init(_ path: String) { descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600 as mode_t) }
        deinit { close(descriptor) }
    }

    private func soon(_ duration: Duration) -> ContinuousClock.Instant { .now + duration }

    @Test func aFreeLockIsTakenAtOnceAndAgain() throws {
        let directory = try TemporaryDirectory()
        let file = Opened(directory.path + "/lock")
        #expect(try !FileLock.take(file.descriptor, until: .now))
        #expect(try !FileLock.take(file.descriptor, until: .now))
        #expect(try !FileLock.isTaken(Opened(directory.path + "/lock").descriptor))
    }

    @Test func whoWaitsTooLongIsTold() throws {
        let directory = try TemporaryDirectory()
        let (holder, waiter) = (Opened(directory.path + "/lock"), Opened(directory.path + "/lock"))
        #expect(try FileLock.isTaken(holder.descriptor))
        for time in [Duration.zero, .seconds(-1), .microseconds(1), .milliseconds(50)] {
            let start = ContinuousClock.now
            #expect(throws: FileLock.Failure.timedOut) {
                try FileLock.take(waiter.descriptor, until: start + time)
            }
            #expect(ContinuousClock.now >= start + time)
        }
        flock(holder.descriptor, LOCK_UN)
        #expect(try FileLock.isTaken(waiter.descriptor))
    }

    @Test func whatCannotBeLockedIsRefused() {
        #expect(throws: FileLock.Failure.refused(errno: EBADF)) { try FileLock.take(-1, until: .now) }
        #expect(throws: FileLock.Failure.refused(errno: EBADF)) { try FileLock.isTaken(-1) }
    }

    /// As the threads of Dispatch do, which then would not notice that the time is up.
    @Test func threadsThatBlockSignalsAreInterruptedToo() async throws {
        let directory = try TemporaryDirectory()
        let (holder, waiter) = (Opened(directory.path + "/lock"), Opened(directory.path + "/lock"))
        #expect(try FileLock.isTaken(holder.descriptor))
        let outcome = Mutex<Result<Bool, FileLock.Failure>?>(nil)
        let masks = Mutex<(before: Bool, after: Bool)>((false, false))
        await onThread {
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, nil)
            let before = Self.blocksUrgent
            do throws(FileLock.Failure) {
                let waited = try FileLock.take(waiter.descriptor, until: .now + .milliseconds(30))
                outcome.withLock { $0 = .success(waited) }
            } catch {
                outcome.withLock { $0 = .failure(error) }
            }
            masks.withLock { $0 = (before, Self.blocksUrgent) }
        }
        #expect(outcome.withLock { $0 } == .failure(.timedOut))
        #expect(masks.withLock { $0 } == (true, true))
    }

    private static var blocksUrgent: Bool {
        var mask = sigset_t()
        pthread_sigmask(SIG_SETMASK, nil, &mask)
        return sigismember(&mask, SIGURG) == 1
    }

    @Test func manyWhoWaitAllGetTheirTurn() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/lock"
        let holder = Opened(path)
        #expect(try FileLock.isTaken(holder.descriptor))
        let inside = Atomic(0)
        let waited = Atomic(0)
        let failures = Atomic(0)
        await withDiscardingTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    await onThread {
                        for _ in 0..<50 {
                            let file = Opened(path)
                            guard let others = try? FileLock.take(file.descriptor, until: .now + .seconds(60)) else {
                                failures.add(1, ordering: .relaxed)
                                continue
                            }
                            if others { waited.add(1, ordering: .relaxed) }
                            if inside.add(1, ordering: .relaxed).oldValue != 0 { failures.add(1, ordering: .relaxed) }
                            inside.subtract(1, ordering: .relaxed)
                        }
                    }
                }
            }
            flock(holder.descriptor, LOCK_UN)
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(waited.load(ordering: .relaxed) > 0)
    }
}

/// Runs something that blocks on a thread of its own.
private func onThread(_ body: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            body()
            continuation.resume()
        }
    }
}
