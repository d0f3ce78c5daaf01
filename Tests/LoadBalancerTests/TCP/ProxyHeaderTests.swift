import NetworkTypes
import Testing

@testable import LoadBalancer

struct ProxyHeaderTests {
    @Test
    func ipv4() {
        let header = ProxyHeader.version2(
            source: TransportAddress(IPAddress("192.0.2.1")!, 0x1234),
            destination: TransportAddress(IPAddress("10.96.0.10")!, 80)
        )
        #expect(
            header == [
                0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12,
                192, 0, 2, 1, 10, 96, 0, 10, 0x12, 0x34, 0, 80,
            ]
        )
    }

    @Test
    func ipv6() {
        let header = ProxyHeader.version2(
            source: TransportAddress(IPAddress("fd00::1")!, 1),
            destination: TransportAddress(IPAddress("fd96::10")!, 443)
        )
        #expect(header.count == 16 + 36 && header[13] == 0x21 && header[14...15] == [0, 36])
        #expect(Array(header[16..<18]) == [0xfd, 0x00] && header[31] == 1 && Array(header[32..<34]) == [0xfd, 0x96])
        #expect(Array(header.suffix(4)) == [0, 1, 1, 0xbb])
    }
}
