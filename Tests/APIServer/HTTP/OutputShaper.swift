import NIOCore

/// What a fault makes of the bytes of a response.
struct OutputShaper {
    enum Shape {
        case plain
        /// After so many bytes the connection ends.
        case cut(after: Int, Fault.Ending)
        /// After so many bytes the rest is dropped.
        case stall(after: Int)
        /// Bytes wait in a queue that is let out a few at a time.
        case drip(bytes: Int, every: TimeAmount)
    }

    enum Outcome: Equatable {
        case goOn
        /// The connection has to end now.
        case end(Fault.Ending)
    }

    private(set) var shape = Shape.plain
    /// What drips.
    private(set) var queue = ByteBuffer()
    private(set) var isStalled = false

    init(_ fault: Fault? = nil) {
        switch fault {
        case .cut(let bytes, let ending): shape = .cut(after: bytes, ending)
        case .stall(let bytes): shape = .stall(after: bytes)
        case .drip(let bytes, let interval):
            shape = .drip(bytes: max(1, bytes), every: TimeAmount(interval))
        default: break
        }
    }

    /// What of some bytes goes out now.
    mutating func pass(_ buffer: ByteBuffer) -> (ByteBuffer?, Outcome) {
        var buffer = buffer
        switch shape {
        case .plain: return (buffer, .goOn)
        case .cut(let rest, let ending):
            if buffer.readableBytes < rest {
                shape = .cut(after: rest - buffer.readableBytes, ending)
                return (buffer, .goOn)
            }
            return (buffer.readSlice(length: rest), .end(ending))
        case .stall(let rest):
            if buffer.readableBytes < rest {
                shape = .stall(after: rest - buffer.readableBytes)
                return (buffer, .goOn)
            }
            shape = .stall(after: 0)
            isStalled = true
            return (buffer.readSlice(length: rest), .goOn)
        case .drip:
            queue.writeBuffer(&buffer)
            return (nil, .goOn)
        }
    }

    /// The next few bytes that drip; `nil` when there are none.
    mutating func drop() -> ByteBuffer? {
        guard case .drip(let bytes, _) = shape, queue.readableBytes > 0 else { return nil }
        defer { queue.discardReadBytes() }
        return queue.readSlice(length: min(bytes, queue.readableBytes))
    }

    mutating func stall() {
        shape = .stall(after: 0)
        isStalled = true
    }
}
