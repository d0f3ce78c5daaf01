import Glibc
import Testing

@testable import LoadBalancer

struct EventLoopTests {
    @Test
    func whatIsAddedTwiceKeepsItsFirstHandler() throws {
        let loop = try EventLoop(bufferSize: 4096)
        let descriptor = try Socket.make(.udp, .ipv4)
        defer { close(descriptor) }
        let (first, second) = (EventHandler(), EventHandler())
        try loop.add(descriptor, [.readable], first)
        #expect { try loop.add(descriptor, [.readable], second) } throws: { ($0 as? SystemCallError)?.code == EEXIST }
        #expect(loop.handlers.count == 1 && loop.handlers.first === first)
        loop.remove(descriptor)
        try loop.add(descriptor, [.readable], second)
        #expect(loop.handlers.count == 1 && loop.handlers.first === second)
    }
}
