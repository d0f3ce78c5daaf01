import Glibc

/// The lock that Calico's plugins of one host take around their IPAM (2.12): polite, not needed.
///
/// The stores are safe without it. It keeps a herd of plugins from fighting over the same block, so that whatever
/// hinders taking it is passed over. The kernel gives it back when the process ends, however it ends.
struct HostLock: ~Copyable {
    private let descriptor: Int32

    /// Waits for the lock of this path until the deadline, then goes on without.
    init(_ path: String?, until deadline: Deadline) {
        guard let path, let descriptor = Self.open(path) else {
            self.descriptor = -1
            return
        }
        self.descriptor = descriptor
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, !deadline.hasPassed else { return }
            usleep(2000)
        }
    }

    private static func open(_ path: String) -> Int32? {
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        var descriptor = Glibc.open(path, flags, 0o600 as mode_t)
        if descriptor < 0, errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            mkdir(String(path[..<slash]), 0o755)
            descriptor = Glibc.open(path, flags, 0o600 as mode_t)
        }
        return descriptor >= 0 ? descriptor : nil
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
