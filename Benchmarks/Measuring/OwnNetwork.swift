internal import CLinux
import Glibc
import Netlink

/// Moves the calling thread to a new network namespace that has nothing but loopback, which is up. Threads and programs that
/// it starts from now on are there too: a program calls it before it has other threads.
public func enterOwnNetwork() throws {
    let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET, linux/sched.h
    guard unshare(newNetwork) == 0 else {
        throw BenchmarkFailure(
            "a network namespace cannot be made (\(String(cString: strerror(errno)))); only root can"
        )
    }
    try NetlinkSocket().send(.setLink(.name("lo"), up: true))
}
