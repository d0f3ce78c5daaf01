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
    ///
    /// - Parameter makingFile: without, a file that does not exist is a lock that nobody has.
    init(_ path: String, makingFile: Bool, until deadline: Deadline) {
        descriptor = Self.open(path, makingFile ? O_CREAT : 0)
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

    private static func open(_ path: String, _ making: Int32) -> Int32 {
        let flags = O_RDWR | making | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        let descriptor = Glibc.open(path, flags, 0o600 as mode_t)
        guard descriptor < 0, errno == ENOENT, making != 0, let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        else { return descriptor }
        mkdir(String(path[..<slash]), 0o700)
        return Glibc.open(path, flags, 0o600 as mode_t)
    }
}
