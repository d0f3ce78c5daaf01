import Glibc
import Synchronization

/// Waits for the content of many open files to reach the disk, for several at a time.
///
/// A file system writes its own journal once for all who wait at the same moment: on ext4, eight waiting threads are
/// done with a hundred small files in a tenth of the time that one takes.
final class ConcurrentSync: Sendable {
    private let descriptors: [Int32]
    private let next = Atomic(0)
    private let failure = Atomic<Int32>(0)

    private static let threads = 8

    private init(_ descriptors: [Int32]) {
        self.descriptors = descriptors
    }

    /// Returns 0, or the `errno` of one that failed.
    static func run(_ descriptors: [Int32]) -> Int32 {
        let work = ConcurrentSync(descriptors)
        var helpers: [pthread_t] = []
        for _ in 1..<max(1, min(threads, descriptors.count)) {
            var thread = pthread_t()
            let reference = Unmanaged.passRetained(work)
            let result = pthread_create(
                &thread,
                nil,
                { reference in
                    if let reference { Unmanaged<ConcurrentSync>.fromOpaque(reference).takeRetainedValue().loop() }
                    return nil
                },
                reference.toOpaque()
            )
            guard result == 0 else {
                reference.release()
                break
            }
            helpers.append(thread)
        }
        work.loop()
        for thread in helpers { pthread_join(thread, nil) }
        return work.failure.load(ordering: .acquiring)
    }

    private func loop() {
        while case let index = next.add(1, ordering: .relaxed).oldValue, index < descriptors.count {
            while fdatasync(descriptors[index]) != 0 {
                guard errno != EINTR else { continue }
                failure.store(errno, ordering: .releasing)
                break
            }
        }
    }
}
