// FileLocks: flock(2) with a deadline. Whose file it is, and what it stands for, is the caller's business.

internal import CLinux
import Glibc

/// Exclusive locks on open files, which the kernel gives back when the process ends, however it ends.
public enum FileLock {
    /// Why there is no lock.
    public enum Failure: Error, Hashable, Sendable {
        /// Another open file description has it, and kept it until the deadline.
        case timedOut
        /// What flock(2) refused with.
        case refused(errno: Int32)
    }

    /// Takes the lock unless someone has it. Taking what one has already changes nothing.
    ///
    /// - Returns: `false` when another open file description has it.
    public static func isTaken(_ descriptor: Int32) throws(Failure) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            switch errno {
            case EINTR: continue
            case EWOULDBLOCK: return false
            case let code: throw .refused(errno: code)
            }
        }
        return true
    }

    /// Takes the lock, waiting in the kernel's queue while others have it: of a hundred that wait, one is woken when it is
    /// free. The calling thread does nothing else meanwhile.
    ///
    /// - Returns: Whether others had it.
    @discardableResult
    public static func take(_ descriptor: Int32, until deadline: ContinuousClock.Instant) throws(Failure) -> Bool {
        if try isTaken(descriptor) { return false }
        let interruption = Interruption(after: deadline - .now)
        defer { interruption.end() }
        while flock(descriptor, interruption.isSet ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            guard errno == EINTR || errno == EWOULDBLOCK else { throw .refused(errno: errno) }
            guard ContinuousClock.now < deadline else { throw .timedOut }
            if !interruption.isSet { usleep(1000) }
        }
        return true
    }
}

/// Interrupts a system call of the thread that made it, when the time is up and from then on again and again, as the
/// call may not have begun the first time.
///
/// SIGURG is what it does so with: nobody else waits for it, and who does not know it ignores it.
private struct Interruption {
    /// `false` where the kernel has no timer left for us.
    let isSet: Bool
    /// The first one that a process makes has the number 0, which here is `nil`.
    private var timer: timer_t?
    private var former = sigset_t()

    private static let handled: Void = {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        // Without SA_RESTART.
        sigaction(SIGURG, &action, nil)
    }()

    private static let interval = 10_000_000

    init(after time: Duration) {
        _ = Self.handled
        // The threads of some pools block all signals.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGURG)
        pthread_sigmask(SIG_UNBLOCK, &signals, &former)

        var event = sigevent()
        event.sigev_notify = Int32(SIGEV_THREAD_ID)
        event.sigev_signo = SIGURG
        event._sigev_un._tid = gettid()
        isSet = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0
        guard isSet else { return }
        var schedule = itimerspec()
        let (seconds, attoseconds) = max(time, .nanoseconds(1)).components
        schedule.it_value = timespec(tv_sec: Int(seconds), tv_nsec: max(Int(attoseconds / 1_000_000_000), 1))
        schedule.it_interval = timespec(tv_sec: 0, tv_nsec: Self.interval)
        timer_settime(timer, 0, &schedule, nil)
    }

    func end() {
        if isSet { timer_delete(timer) }
        var former = former
        pthread_sigmask(SIG_SETMASK, &former, nil)
    }
}
