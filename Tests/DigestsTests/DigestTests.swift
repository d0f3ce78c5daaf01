import Digests
import Testing

@Suite struct DigestTests {
    /// From FIPS 180-4's examples, and lengths around the padding's boundaries (computed with sha1sum).
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        (String(repeating: "a", count: 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
        (String(repeating: "a", count: 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
        (String(repeating: "a", count: 1_000), "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
    ])
    func sha1(_ text: String, _ expected: String) {
        #expect(SHA1.hexadecimal(of: text) == expected)
    }

    /// NIST's examples, and lengths around the padding's boundaries, as other implementations compute them.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (String(repeating: "a", count: 55), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
        (String(repeating: "a", count: 56), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
        (String(repeating: "a", count: 64), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        (String(repeating: "a", count: 135), "dfa58dfd72f3c7080d0249a7758fd3636872f63fa24b18473ed36f031e248347"),
        (String(repeating: "a", count: 136), "6f0e44b9ce4ea61d52a3479c10f60ef916937f799f11964b7f1c7771063905c4"),
        (String(repeating: "a", count: 137), "b6dc2da678c065ebdce374ebe1842728277203ee1a9a29832f058cf013d5ad85"),
        (String(repeating: "a", count: 200), "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5"),
    ])
    func sha256(_ text: String, _ expected: String) {
        #expect(SHA256.digest(of: text.utf8).hexadecimal == expected)
    }

    @Test func eachByteHasTwoHexadecimalDigits() {
        #expect([UInt8]().hexadecimal == "")
        #expect([0, 9, 10, 0x7f, 0xa0, 0xff].hexadecimal == "00090a7fa0ff")
    }

    /// The test vectors of RFC 4648, without their padding.
    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ])
    func base32IsThatOfTheRFC(_ text: String, _ encoded: String) {
        #expect(Array(text.utf8).base32 == encoded)
    }
}
