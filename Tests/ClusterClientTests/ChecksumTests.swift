import Testing

@testable import ClusterClient

@Suite struct ChecksumTests {
    // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
    @Test(
        arguments: [
            (Array("123456789".utf8), 0xe306_9283), ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
            ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43), (Array(0..<32), 0x46dd_794e), ([], 0),
        ] as [([UInt8], UInt32)]
    )
    func knownValues(_ bytes: [UInt8], _ expected: UInt32) {
        var whole = Checksum()
        whole.update(bytes)
        #expect(whole.value == expected)
        var pieces = Checksum()
        for byte in bytes { pieces.update([byte]) }
        #expect(pieces.value == expected)
    }
}
