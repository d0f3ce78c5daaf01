import Testing

@testable import ServerTransport

struct ServerAddressTests {
    @Test(arguments: [
        ("https://10.0.0.1:6443", "https://10.0.0.1:6443"), ("10.0.0.1", "https://10.0.0.1:443"),
        ("HTTP://host/", "http://host:80"), ("https://[fd00::1]", "https://[fd00::1]:443"),
        ("https://h:1/a/b/", "https://h:1/a/b"), ("ftp://h", nil), ("https://", nil), ("https://h:0", nil),
        ("https://h:99999", nil), ("https://u:p@h", nil), ("https://h?x", nil), ("https://[h]:1", nil),
        ("https://fd00::1", nil),
    ])
    func addresses(_ text: String, _ expected: String?) {
        #expect(ServerAddress(text)?.description == expected)
    }

    @Test(arguments: [
        ("http://p:3128", "http://p:3128"), ("http://p", "http://p:80"), ("socks5://p", "socks5://p:1080"),
        ("http://u:canary@p:1", "http://p:1"), ("socks5://u:canary@p", nil), ("https://p", nil), ("p:1", nil),
    ])
    func proxiesHideTheirCredentials(_ text: String, _ expected: String?) {
        let proxy = ProxyAddress(text)
        #expect(proxy?.description == expected)
        var dumped = ""
        dump(proxy, to: &dumped)
        #expect(!dumped.contains("canary") && !String(reflecting: proxy).contains("canary"))
    }
}
