import Digests
import Testing

@testable import KubernetesStore

@Suite struct SHA3Tests {
    /// NIST's examples, and lengths around the block size, as other implementations compute them.
    @Test(arguments: [
        ("", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
        ("abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (String(repeating: "a", count: 55), "78c2a04624b9328ae0e40cb8cdd29980f6ff55abf2dca68e3412d09eed4b9d03"),
        (String(repeating: "a", count: 56), "f6fe8de5c8f5014786f07e9f7b08130f920dd55e587d47021686b26cf2323deb"),
        (String(repeating: "a", count: 64), "043d104b5480439c7acff8831ee195183928d9b7f8fcb0c655a086a87923ffee"),
        (String(repeating: "a", count: 135), "8094bb53c44cfb1e67b7c30447f9a1c33696d2463ecc1d9c92538913392843c9"),
        (String(repeating: "a", count: 136), "3fc5559f14db8e453a0a3091edbd2bc25e11528d81c66fa570a4efdcc2695ee1"),
        (String(repeating: "a", count: 137), "f8d6846cedd2ccfadf15c5879ef95af724d799eed7391fb1c91f95344e738614"),
        (String(repeating: "a", count: 200), "cce34485baf2bf2aca99b94833892a4f52896d3d153f7b840cc4f9fe695f1387"),
    ])
    func digestsAreThoseOfTheStandard(_ text: String, _ expected: String) {
        #expect(SHA3.digest256(of: text.utf8).hexadecimal == expected)
    }

    // K1
    @Test func theHostnameLabelIsCalicos() {
        #expect(
            SHA3.digest256(of: "worker-1".utf8).base32 == "CPU5J3TPSNHFA66J45DG4Z5C3PSJAZ36LD46JZLYEGZSTAWBUCUA"
        )
    }
}
