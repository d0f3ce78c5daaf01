import FileLocks
import Glibc

/// The lock that Calico's plugins of one host take around their IPAM (2.12): polite, not needed.
///
/// The stores are safe without it. It keeps a herd of plugins from fighting over the same block, so that whatever
/// hinders taking it is passed over. ADD takes it before it reads, so that what it decides on is not out of date by the
/// time it writes. The kernel gives it back when the process ends, however it ends.
final class HostLock {
    private var descriptor: Int32
    /// Whether others had it, and have changed since what was read before.
    let wasWaitedFor: Bool

    /// Waits for the lock of this path until the deadline, then goes on without.
    init(_ path: String?, until deadline: Deadline) {
        descriptor = path.flatMap(Self.open) ?? -1
        do throws(FileLock.Failure) {
            wasWaitedFor = descriptor >= 0 ? try FileLock.take(descriptor, until: deadline.instant) : false
        } catch {
            wasWaitedFor = error == .timedOut
        }
    }

    /// Lets the next one in.
    func release() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    deinit { release() }

    private static func open(_ path: String) -> Int32? {
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        var descriptor = Glibc.open(path, flags, 0o600 as mode_t)
        if descriptor < 0, errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            mkdir(String(path[..<slash]), 0o755)
            descriptor = Glibc.open(path, flags, 0o600 as mode_t)
        }
        return descriptor >= 0 ? descriptor : nil
    }
}
