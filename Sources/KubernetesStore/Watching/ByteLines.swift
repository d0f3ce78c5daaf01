import NIOCore

/// The lines of a stream.
struct ByteLines {
    private let limit: Int
    private var pending = ByteBuffer()
    private var scanned = 0

    /// - Parameter limit: the most bytes that one line may have.
    init(limit: Int) {
        self.limit = limit
    }

    /// `false` when a line is too long.
    mutating func append(_ piece: ByteBuffer) -> Bool {
        if pending.readableBytes == 0 {
            pending = piece
            scanned = 0
        } else {
            pending.writeImmutableBuffer(piece)
        }
        return pending.readableBytes - scanned <= limit || pending.readableBytesView.dropFirst(scanned).contains(0x0a)
    }

    /// The next line that has ended and is not empty, without its end.
    mutating func next() -> ByteBuffer? {
        while let end = pending.readableBytesView.dropFirst(scanned).firstIndex(of: 0x0a) {
            let line = pending.readSlice(length: end - pending.readerIndex)
            pending.moveReaderIndex(forwardBy: 1)
            scanned = 0
            if let line, line.readableBytes > 0 { return line }
        }
        scanned = pending.readableBytes
        return nil
    }
}
