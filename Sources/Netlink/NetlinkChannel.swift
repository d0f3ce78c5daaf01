internal import CLinux
import Glibc

/// The file descriptor of a netlink socket: sends bytes, receives datagrams of the kernel and takes them apart.
final class NetlinkChannel {
    /// What an error message shall say was being asked.
    typealias Purpose = () -> String

    let descriptor: Int32
    /// The address of this socket, which the kernel's answers carry (nlmsg_pid).
    let portID: UInt32
    private var buffer: [UInt8]

    /// The kernel makes its lists in pieces of up to 32 KiB when the reader's buffer takes them.
    static let initialBufferSize = 32 << 10
    /// Room for the answers to a full batch; beyond it the kernel would drop them.
    private static let receiveQueueSize: Int32 = 1 << 20
    /// The kernel answers during the system call that asks; this only keeps a lost answer from hanging the caller.
    private static let answerTimeout = 10

    /// Opens a descriptor, which stays in the network namespace of the calling thread.
    static func open(_ netlinkProtocol: NetlinkProtocol) throws(NetlinkError) -> Int32 {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_NETLINK, type, netlinkProtocol.rawValue)
        guard descriptor >= 0 else { throw setupError("socket") }
        return descriptor
    }

    private static func setupError(_ call: String) -> NetlinkError {
        NetlinkError(request: "open a netlink socket", cause: .systemCall(call, code: errno))
    }

    /// Takes over the descriptor, also when it throws.
    init(
        adopting descriptor: Int32,
        bufferSize: Int = NetlinkChannel.initialBufferSize
    ) throws(NetlinkError) {
        self.descriptor = descriptor
        buffer = [UInt8](repeating: 0, count: bufferSize)
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
        let failure = withUnsafeMutablePointer(to: &address) { pointer -> NetlinkError? in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                if bind(descriptor, $0, length) != 0 { return Self.setupError("bind") }
                return getsockname(descriptor, $0, &length) != 0 ? Self.setupError("getsockname") : nil
            }
        }
        portID = address.nl_pid
        if let failure { throw failure }
        // Older kernels lack some of these. Without them errors have less to say, and lists are filtered here.
        set(.extendedAcknowledgement, 1)
        set(.cappedAcknowledgement, 1)
        set(.strictChecking, 1)
        var size = Self.receiveQueueSize
        if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4) != 0 {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        var timeout = timeval(tv_sec: Self.answerTimeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    private enum Option: Int32 {
        case membership = 1  // NETLINK_ADD_MEMBERSHIP
        case cappedAcknowledgement = 10  // NETLINK_CAP_ACK
        case extendedAcknowledgement = 11  // NETLINK_EXT_ACK
        case strictChecking = 12  // NETLINK_GET_STRICT_CHK
    }

    private static let optionLevel: Int32 = 270  // SOL_NETLINK

    @discardableResult
    private func set(_ option: Option, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(descriptor, Self.optionLevel, option.rawValue, &value, 4) == 0
    }

    func join(_ group: Int32, for purpose: Purpose) throws(NetlinkError) {
        guard set(.membership, group) else {
            throw NetlinkError(request: purpose(), cause: .systemCall("setsockopt", code: errno))
        }
    }

    /// Makes the kernel drop all that comes to this socket but the answer to one request and the news that a link is gone,
    /// so that many who remove links at once are not all woken for each. Without the filter all of it has to be read.
    func hearOnly(ofRemovalOf index: InterfaceIndex) {
        // Offsets are those of struct nlmsghdr and ifinfomsg. A filter reads numbers as if they were in network byte order.
        var program = [
            sock_filter(code: 0x28, jt: 0, jf: 0, k: 4),  // BPF_LD | BPF_H | BPF_ABS: nlmsg_type
            // BPF_JMP | BPF_JEQ | BPF_K
            sock_filter(code: 0x15, jt: 3, jf: 0, k: UInt32(ControlMessage.error.bigEndian)),
            sock_filter(code: 0x15, jt: 0, jf: 3, k: UInt32(RouteMessage.deleteLink.bigEndian)),
            sock_filter(code: 0x20, jt: 0, jf: 0, k: 20),  // BPF_LD | BPF_W | BPF_ABS: ifi_index
            sock_filter(code: 0x15, jt: 0, jf: 1, k: UInt32(bitPattern: index.bigEndian)),
            sock_filter(code: 0x06, jt: 0, jf: 0, k: .max),  // BPF_RET | BPF_K: all of it
            sock_filter(code: 0x06, jt: 0, jf: 0, k: 0),
        ]
        program.withUnsafeMutableBufferPointer { instructions in
            var filter = sock_fprog(len: UInt16(instructions.count), filter: instructions.baseAddress)
            setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, socklen_t(MemoryLayout<sock_fprog>.size))
        }
    }

    func transmit(_ bytes: [UInt8], for purpose: Purpose) throws(NetlinkError) {
        // Without a destination a netlink socket sends to port 0, the kernel.
        while send(descriptor, bytes, bytes.count, 0) < 0 {
            let code = errno
            guard code == EINTR else {
                throw NetlinkError(request: purpose(), cause: .systemCall("send", code: code))
            }
        }
    }

    /// Has a process of its own send a message and wait until the kernel has carried it out; the answer comes to this
    /// socket.
    ///
    /// It has nothing of this process but the socket, so it keeps no lock or pipe of ours, and it is nobody's child, so
    /// nobody has to wait for it.
    /// - Returns: Whether there is such a process.
    func transmitFromElsewhere(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            // Between a fork and the end of its child there are system calls only: other threads' locks are never given up.
            let parent = _Fork()
            guard parent == 0 else {
                guard parent > 0 else { return false }
                var status: Int32 = 0
                while waitpid(parent, &status, 0) < 0, errno == EINTR {}
                return status == 0
            }
            let child = _Fork()
            guard child == 0 else { _exit(child > 0 ? 0 : 1) }
            dup2(descriptor, 0)
            _ = close_range(1, .max, 0)
            send(0, bytes.baseAddress, bytes.count, 0)
            _exit(0)
        }
    }

    /// Whether something can be received within a time; false also when a signal came.
    func isReadable(within milliseconds: Int32, for purpose: Purpose) throws(NetlinkError) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let ready = poll(&waiting, 1, milliseconds)
        let code = errno
        guard ready >= 0 || code == EINTR else {
            throw NetlinkError(request: purpose(), cause: .systemCall("poll", code: code))
        }
        return ready > 0
    }

    /// Receives the next datagram of the kernel.
    ///
    /// The messages share this object's buffer: whoever keeps one makes the next call copy the buffer.
    func receive(for purpose: Purpose) throws(NetlinkError) -> [Message] {
        let length = try receiveBytes(for: purpose)
        do throws(MalformedMessage) {
            var reader = MessageReader(buffer[..<length])
            var messages: [Message] = []
            while let message = try reader.next() {
                guard message.type != ControlMessage.overrun else {
                    throw MalformedMessage("data was lost (NLMSG_OVERRUN)")
                }
                if message.type != ControlMessage.noop { messages.append(message) }
            }
            return messages
        } catch {
            throw NetlinkError(request: purpose(), cause: .malformed(error.description))
        }
    }

    private func receiveBytes(for purpose: Purpose) throws(NetlinkError) -> Int {
        while true {
            var sender = sockaddr_nl()
            var senderLength = socklen_t(MemoryLayout<sockaddr_nl>.size)
            let count = buffer.withUnsafeMutableBytes { bytes in
                withUnsafeMutablePointer(to: &sender) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(
                            descriptor,
                            bytes.baseAddress,
                            bytes.count,
                            Int32(MSG_TRUNC),
                            $0,
                            &senderLength
                        )
                    }
                }
            }
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN: throw NetlinkError(request: purpose(), cause: .timedOut)
                case let code: throw NetlinkError(request: purpose(), cause: .systemCall("recv", code: code))
                }
            }
            // Any process may send to our address; only port 0 is the kernel.
            guard sender.nl_pid == 0 else { continue }
            // MSG_TRUNC makes the kernel tell the true length, so that the next attempt fits.
            guard count <= buffer.count else {
                buffer = [UInt8](repeating: 0, count: (count + 4095) & ~4095)
                throw NetlinkError(request: purpose(), cause: .truncated(bytes: count))
            }
            return count
        }
    }
}
