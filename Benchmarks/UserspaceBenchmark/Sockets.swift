import CLinux
import Glibc
import Measuring

/// Sockets on 127.0.0.1.
enum Sockets {
    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    static func listening(_ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        var address = address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 16) }
        }
        guard result == 0, listen(descriptor, 4096) == 0 else {
            throw BenchmarkFailure("cannot listen on port \(port)")
        }
        return descriptor
    }

    /// - Returns: `nil` when nobody listens, or too many do.
    static func connected(to port: UInt16) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = address(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, 16) }
        }
        if result == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    /// One byte there and back.
    static func exchange(_ descriptor: Int32) -> Bool {
        var byte = UInt8(ascii: "e")
        return send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 && recv(descriptor, &byte, 1, 0) == 1
    }

    /// Closes without leaving a port behind that cannot be used for a minute.
    static func reset(_ descriptor: Int32) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }
}
