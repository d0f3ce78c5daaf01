import Glibc
import Synchronization

/// Runs tasks on the one thread that calls ``run()``.
///
/// A verb is one sequence of steps. Swift's own executor would start three threads for it (a worker, one that watches
/// over workers, one for timers); they are started now only when a task sleeps.
final class CallingThreadExecutor: TaskExecutor {
    private let jobs = Mutex<[UnownedJob]>([])
    /// Counts the jobs that wait. Never moved, and made for use by many threads at once (sem_overview(7)).
    private nonisolated(unsafe) let arrivals = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        sem_init(arrivals, 0, 0)
    }

    deinit {
        sem_destroy(arrivals)
        arrivals.deallocate()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
        sem_post(arrivals)
    }

    /// Runs whatever is enqueued, until something ends the process.
    func run() -> Never {
        while true {
            // A signal may interrupt the wait.
            guard sem_wait(arrivals) == 0 else { continue }
            let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            job?.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
