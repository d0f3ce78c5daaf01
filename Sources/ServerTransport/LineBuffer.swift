import NIOCore

/// The lines of a stream that comes in pieces.
public struct LineBuffer: Sendable {
    /// A line has more bytes than the limit.
    public struct TooLong: Error {}

    private let limit: Int
    private var buffer = ByteBuffer()
    /// How far it was searched for the end of a line.
    private var searched = 0

    /// - Parameter limit: the most bytes that one line may have.
    public init(limit: Int) {
        self.limit = limit
    }

    public mutating func append(_ piece: ByteBuffer) {
        buffer.writeImmutableBuffer(piece)
        if buffer.readerIndex > 1 << 20 { buffer.discardReadBytes() }
    }

    /// The next line without its end, if all of it is there; empty ones are left out.
    public mutating func next() throws(TooLong) -> ByteBuffer? {
        while true {
            let rest = buffer.readableBytesView.dropFirst(searched)
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
                searched = buffer.readableBytes
                guard searched <= limit else { throw TooLong() }
                return nil
            }
            let line = buffer.readSlice(length: end - buffer.readerIndex)
            buffer.moveReaderIndex(forwardBy: 1)
            searched = 0
            guard let line, line.readableBytes > 0 else { continue }
            guard line.readableBytes <= limit else { throw TooLong() }
            return line
        }
    }
}
