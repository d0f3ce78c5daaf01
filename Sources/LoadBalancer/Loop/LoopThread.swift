import Glibc

/// Starts threads for loops, which must not hold up a thread of Swift's pool.
public enum LoopThread {
    private final class Job {
        let body: () -> Void

        init(_ body: @escaping () -> Void) {
            self.body = body
        }
    }

    public static let start: LoadBalancerOptions.StartThread = { body in
        var thread = pthread_t()
        let job = Unmanaged.passRetained(Job(body))
        let result = pthread_create(
            &thread,
            nil,
            { context in
                if let context { Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            },
            job.toOpaque()
        )
        guard result == 0 else {
            job.release()
            throw SystemCallError(call: "pthread_create", code: result)
        }
        pthread_detach(thread)
    }
}
