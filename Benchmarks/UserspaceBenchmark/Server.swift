import CLinux
import Glibc

/// What both pass connections on to: sends back what begins with `e`, and throws everything else away.
enum Server {
    static func run(port: UInt16) throws {
        let listener = try Sockets.listening(port)
        let epoll = epoll_create1(0)
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: listener))
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: 256 * 1024, alignment: 4096)
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 256)
        while true {
            let count = epoll_wait(epoll, events, 256, -1)
            for index in 0..<max(0, Int(count)) {
                let descriptor = events[index].data.fd
                if descriptor == listener {
                    let client = accept(listener, nil, nil)
                    guard client >= 0 else { continue }
                    event.data.fd = client
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event)
                } else {
                    let length = recv(descriptor, buffer, 256 * 1024, 0)
                    if length <= 0 {
                        close(descriptor)
                    } else if buffer.load(as: UInt8.self) == UInt8(ascii: "e") {
                        send(descriptor, buffer, length, Int32(MSG_NOSIGNAL))
                    }
                }
            }
        }
    }
}
