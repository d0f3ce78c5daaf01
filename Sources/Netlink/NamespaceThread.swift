import Glibc

/// Threads that may change their namespace, because nothing else ever runs on them: each runs one closure and ends.
///
/// Swift's own threads are shared by all tasks; one that entered another namespace would take strangers along.
enum NamespaceThread {
    /// What a new thread is handed. It crosses to that thread once, by a pointer, and is used by nobody else then.
    private final class Job {
        let body: () -> Void

        init(_ body: @escaping () -> Void) {
            self.body = body
        }
    }

    /// Runs `body` on a new thread and waits for its end.
    static func run<Value: Sendable>(_ body: @Sendable () throws -> Value) throws -> Value {
        try withoutActuallyEscaping(body) { body in
            var result: Result<Value, any Error>?
            let thread = try spawn(Job { result = Result(catching: body) }).get()
            pthread_join(thread, nil)
            guard let result else {
                throw NetworkNamespaceError.systemCall("pthread_join", path: "(thread)", code: EINVAL)
            }
            return try result.get()
        }
    }

    /// Runs `body` on a new thread and returns at once; `onFailure` is called instead when there can be no thread.
    static func start(
        _ body: @escaping @Sendable () -> Void,
        onFailure: (NetworkNamespaceError) -> Void
    ) {
        switch spawn(Job(body)) {
        case .success(let thread): pthread_detach(thread)
        case .failure(let error): onFailure(error)
        }
    }

    private static func spawn(_ job: Job) -> Result<pthread_t, NetworkNamespaceError> {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(job)
        let status = pthread_create(
            &thread,
            nil,
            { context in
                if let context { Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            },
            context.toOpaque()
        )
        guard status == 0 else {
            context.release()
            return .failure(.systemCall("pthread_create", path: "(thread)", code: status))
        }
        return .success(thread)
    }
}
