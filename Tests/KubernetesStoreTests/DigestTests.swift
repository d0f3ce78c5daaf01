import Digests
import Testing

@testable import KubernetesStore

@Suite struct DigestTests {
    /// NIST's examples, and lengths around the block sizes, as other implementations compute them.
    static let digests: [(String, sha256: String, sha3: String)] = [
        (
            "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
        ),
        (
            "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
        ),
        (
            String(repeating: "a", count: 55), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318",
            "78c2a04624b9328ae0e40cb8cdd29980f6ff55abf2dca68e3412d09eed4b9d03"
        ),
        (
            String(repeating: "a", count: 56), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a",
            "f6fe8de5c8f5014786f07e9f7b08130f920dd55e587d47021686b26cf2323deb"
        ),
        (
            String(repeating: "a", count: 64), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb",
            "043d104b5480439c7acff8831ee195183928d9b7f8fcb0c655a086a87923ffee"
        ),
        (
            String(repeating: "a", count: 135), "dfa58dfd72f3c7080d0249a7758fd3636872f63fa24b18473ed36f031e248347",
            "8094bb53c44cfb1e67b7c30447f9a1c33696d2463ecc1d9c92538913392843c9"
        ),
        (
            String(repeating: "a", count: 136), "6f0e44b9ce4ea61d52a3479c10f60ef916937f799f11964b7f1c7771063905c4",
            "3fc5559f14db8e453a0a3091edbd2bc25e11528d81c66fa570a4efdcc2695ee1"
        ),
        (
            String(repeating: "a", count: 137), "b6dc2da678c065ebdce374ebe1842728277203ee1a9a29832f058cf013d5ad85",
            "f8d6846cedd2ccfadf15c5879ef95af724d799eed7391fb1c91f95344e738614"
        ),
        (
            String(repeating: "a", count: 200), "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5",
            "cce34485baf2bf2aca99b94833892a4f52896d3d153f7b840cc4f9fe695f1387"
        ),
    ]

    @Test(arguments: digests)
    func digestsAreThoseOfTheStandards(_ text: String, sha256: String, sha3: String) {
        #expect(SHA256.digest(of: text.utf8).hexadecimal == sha256)
        #expect(SHA3.digest256(of: text.utf8).hexadecimal == sha3)
    }

    /// The test vectors of RFC 4648, without their padding.
    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ])
    func base32IsThatOfTheRFC(_ text: String, _ encoded: String) {
        #expect(Array(text.utf8).base32 == encoded)
    }

    // K1
    @Test func theHostnameLabelIsCalicos() {
        #expect(
            SHA3.digest256(of: "worker-1".utf8).base32 == "CPU5J3TPSNHFA66J45DG4Z5C3PSJAZ36LD46JZLYEGZSTAWBUCUA"
        )
    }
}
