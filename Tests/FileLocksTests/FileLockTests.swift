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

        func isTaken() throws -> Bool { try FileLock.isTaken(descriptor) }
        func take(until deadline: ContinuousClock.Instant) throws(FileLock.Failure) -> Bool {
            try FileLock.take(descriptor, until: deadline)
        }
        func unlock() { flock(descriptor, LOCK_UN) }
    }

    private final class Turns: Sendable {
        let inside = Atomic(0)
        let waited = Atomic(0)
        let failures = Atomic(0)
    }

    @Test func aFreeLockIsTakenAtOnceAndAgain() throws {
        let directory = try TemporaryDirectory()
        let file = Opened(directory.path + "/lock")
        #expect(try !file.take(until: .now))
        #expect(try !file.take(until: .now))
        #expect(try !Opened(directory.path + "/lock").isTaken())
        file.unlock()
        #expect(try Opened(directory.path + "/lock").isTaken())
    }

    @Test func whoWaitsTooLongIsTold() throws {
        let directory = try TemporaryDirectory()
        let (holder, waiter) = (Opened(directory.path + "/lock"), Opened(directory.path + "/lock"))
        #expect(try holder.isTaken())
        for time in [Duration.zero, .seconds(-1), .microseconds(1), .milliseconds(50)] {
            let start = ContinuousClock.now
            #expect(throws: FileLock.Failure.timedOut) {
                try waiter.take(until: start + time)
            }
            #expect(ContinuousClock.now >= start + time)
        }
        holder.unlock()
        #expect(try waiter.isTaken())
    }

    /// Nothing of a wait is left that would interrupt what the thread does next. (The first timer of a process is number 0.)
    @Test func aWaitLeavesNoTimerBehind() throws {
        let directory = try TemporaryDirectory()
        let (holder, waiter) = (Opened(directory.path + "/lock"), Opened(directory.path + "/lock"))
        #expect(try holder.isTaken())
        #expect(throws: FileLock.Failure.timedOut) { try waiter.take(until: .now + .milliseconds(5)) }
        // Not every kernel tells.
        guard let timers = try? String(contentsOfFile: "/proc/self/timers", encoding: .utf8) else { return }
        #expect(!timers.contains("signal: \(SIGURG)/"), "\(timers)")
    }

    @Test func whatCannotBeLockedIsRefused() {
        #expect(throws: FileLock.Failure.refused(errno: EBADF)) { try FileLock.take(-1, until: .now) }
        #expect(throws: FileLock.Failure.refused(errno: EBADF)) { try FileLock.isTaken(-1) }
    }

    /// As the threads of Dispatch do, which then would not notice that the time is up.
    @Test func threadsThatBlockSignalsAreInterruptedToo() async throws {
        let directory = try TemporaryDirectory()
        let (holder, waiter) = (Opened(directory.path + "/lock"), Opened(directory.path + "/lock"))
        #expect(try holder.isTaken())
        let outcome = Mutex<Result<Bool, FileLock.Failure>?>(nil)
        let masks = Mutex<(before: Bool, after: Bool)>((false, false))
        await onThread {
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, nil)
            let before = Self.blocksUrgent
            do throws(FileLock.Failure) {
                let waited = try waiter.take(until: .now + .milliseconds(30))
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
        #expect(try holder.isTaken())
        let turns = Turns()
        await withDiscardingTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    await onThread {
                        for _ in 0..<50 {
                            let file = Opened(path)
                            guard let others = try? file.take(until: .now + .seconds(60)) else {
                                turns.failures.add(1, ordering: .relaxed)
                                continue
                            }
                            if others { turns.waited.add(1, ordering: .relaxed) }
                            if turns.inside.add(1, ordering: .relaxed).oldValue != 0 {
                                turns.failures.add(1, ordering: .relaxed)
                            }
                            turns.inside.subtract(1, ordering: .relaxed)
                            file.unlock()
                        }
                    }
                }
            }
            holder.unlock()
        }
        #expect(turns.failures.load(ordering: .relaxed) == 0)
        #expect(turns.waited.load(ordering: .relaxed) > 0)
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
