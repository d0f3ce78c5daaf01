import CLinux
import Glibc

/// One direction of a connection: what comes from one socket goes to the other.
///
/// Bytes are read into the loop's buffer and written on at once. Only what the other side does not take is held, and while
/// it is, nothing is read: so the kernel's buffers fill up and the sender waits (back-pressure).
struct OneWay {
    enum Outcome {
        /// Until a socket is ready, or for ever.
        case waiting
        /// There is more to read, but others are to have their turn.
        case more
        /// The destination takes no more; what it has sent may still be there to be read.
        case refused
        /// One of the sockets failed.
        case broken
    }

    private var held: UnsafeMutableRawBufferPointer?
    private var heldStart = 0
    /// Whether the source may have bytes.
    var mayRead = true
    /// Whether the destination may take bytes.
    var mayWrite = true
    /// Whether an end or an error is to be expected of the source: then it is read until it says so.
    var hasHungUp = false
    /// Whether the source has sent its last byte.
    private(set) var hasEnded = false
    /// Whether the destination was told so.
    private var isShut = false

    /// Whether what comes is dropped, as the destination takes no more.
    private(set) var isDiscarding = false

    /// What is read at once: as much as the destination takes, so that little has to be held.
    private var readSize = OneWay.firstReadSize

    private static let firstReadSize = 64 * 1024
    private static let smallestReadSize = 16 * 1024
    private static let largestReadSize = 1 << 20

    /// Reads in a row, so that a fast connection does not hold up the others.
    private static let roundLimit = 4

    /// Whether everything was passed on, and there will be no more.
    var isDone: Bool { hasEnded && held == nil }

    /// Bytes that go out before anything that is read.
    mutating func hold(_ bytes: some Collection<UInt8>) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyBytes(from: bytes)
        release()
        held = copy
    }

    /// To be called when the connection is over.
    mutating func release() {
        held?.deallocate()
        (held, heldStart) = (nil, 0)
    }

    /// Drops what is held and whatever comes, so that the source can go on until it ends.
    mutating func discard() {
        isDiscarding = true
        release()
    }

    /// Moves what can be moved now.
    ///
    /// - Parameter count: grows by the bytes that were read.
    mutating func transfer(
        from source: Int32,
        to destination: Int32,
        through buffer: UnsafeMutableRawBufferPointer,
        count: inout UInt64
    ) -> Outcome {
        if let failure = sendHeld(to: destination) { return failure }
        var rounds = 0
        while held == nil, mayRead, !hasEnded {
            if rounds == Self.roundLimit { return .more }
            rounds += 1
            let wanted = min(readSize, buffer.count)
            let length = recv(source, buffer.baseAddress, wanted, 0)
            if length > 0 {
                count &+= UInt64(length)
                // With less than there was room for the socket is empty, and more of it will be told.
                if length < wanted, !hasHungUp { mayRead = false }
                guard !isDiscarding else { continue }
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<length])
                if let failure = pass(bytes, to: destination) { return failure }
            } else if length == 0 {
                hasEnded = true
            } else if errno == EAGAIN {
                mayRead = false
            } else if errno != EINTR {
                return .broken
            }
        }
        return .waiting
    }

    /// Tells the destination that no more comes, once.
    mutating func shutDown(_ destination: Int32) {
        guard isDone, !isShut else { return }
        isShut = true
        shutdown(destination, Int32(SHUT_WR))
    }

    /// - Returns: what is wrong with the destination; `nil` when it works.
    private mutating func pass(_ bytes: UnsafeRawBufferPointer, to destination: Int32) -> Outcome? {
        let sent = write(bytes, to: destination)
        guard sent >= 0 else { return Self.failure }
        if sent < bytes.count {
            let rest = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count - sent, alignment: 1)
            rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[sent...]))
            held = rest
            readSize = max(Self.smallestReadSize, sent)
        } else if bytes.count == readSize {
            readSize = min(readSize * 2, Self.largestReadSize)
        }
        return nil
    }

    private mutating func sendHeld(to destination: Int32) -> Outcome? {
        guard let held, mayWrite else { return nil }
        let sent = write(UnsafeRawBufferPointer(rebasing: held[heldStart...]), to: destination)
        guard sent >= 0 else { return Self.failure }
        heldStart += sent
        if heldStart == held.count { release() }
        return nil
    }

    /// What the error number of a write says: a destination that has closed answers with a reset to what comes after.
    private static var failure: Outcome { errno == EPIPE || errno == ECONNRESET ? .refused : .broken }

    /// - Returns: how many bytes the destination has taken; -1 when it is broken.
    private mutating func write(_ bytes: UnsafeRawBufferPointer, to destination: Int32) -> Int {
        var sent = 0
        while mayWrite, sent < bytes.count {
            let count = send(
                destination,
                bytes.baseAddress.map { $0 + sent },
                bytes.count - sent,
                Int32(MSG_NOSIGNAL)
            )
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                mayWrite = false
            } else if errno != EINTR {
                return -1
            }
        }
        return sent
    }
}
