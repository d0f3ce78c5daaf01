/// What SHA-1 and SHA-256 do alike (FIPS 180-4, 5.1.1 and 6): a message goes in by blocks of 64 bytes, and words of 32 bits
/// come out.
enum MessageBlocks {
    /// The message, filled up to whole blocks.
    static func padded(_ message: some Collection<UInt8>) -> [UInt8] {
        var padded = Array(message)
        let bitCount = UInt64(padded.count) * 8
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        for shift in stride(from: 56, through: 0, by: -8) {
            padded.append(UInt8(truncatingIfNeeded: bitCount >> shift))
        }
        return padded
    }

    /// The words as bytes, the highest first.
    static func bytes(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
    }
}
