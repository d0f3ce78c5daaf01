import CNetfilter
import Glibc
import Synchronization

/// Runs something in another network namespace, on a thread made for it: a namespace belongs to a thread, and threads
/// of Swift's pool must never change theirs.
enum NamespaceThread {
    private final class Work: Sendable {
        let namespace: CInt
        let body: @Sendable () -> Result<CInt, NFTablesError>
        let result = Mutex<Result<CInt, NFTablesError>?>(nil)
        /// CLONE_NEWNET
        private static let networkNamespace: CInt = 0x4000_0000

        init(namespace: CInt, body: @escaping @Sendable () -> Result<CInt, NFTablesError>) {
            self.namespace = namespace
            self.body = body
        }

        func run() {
            let outcome: Result<CInt, NFTablesError> =
                setns(namespace, Self.networkNamespace) == 0
                ? body() : .failure(.system(call: "setns", code: errno))
            result.withLock { $0 = outcome }
        }
    }

    /// - Parameter namespace: an open file of the namespace, as /proc/PID/ns/net.
    static func run(in namespace: CInt, _ body: @escaping @Sendable () -> Result<CInt, NFTablesError>) throws -> CInt {
        let work = Work(namespace: namespace, body: body)
        let argument = Unmanaged.passRetained(work)
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            argument.toOpaque()
        )
        guard code == 0 else {
            argument.release()
            throw NFTablesError.system(call: "pthread_create", code: code)
        }
        pthread_join(thread, nil)
        guard let result = work.result.withLock({ $0 }) else {
            throw NFTablesError.system(call: "pthread_join", code: EINVAL)
        }
        return try result.get()
    }
}
