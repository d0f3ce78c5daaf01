import Dispatch
import Netlink

/// Hears when the addresses of the node's interfaces change, which node ports may be served on (1.7).
public final class AddressWatch: Sendable {
    /// Once for all that happened since the last was taken.
    public let changes: AsyncStream<Void>
    /// Written once; Dispatch may be called from any thread.
    private nonisolated(unsafe) let source: any DispatchSourceRead

    /// - Parameters:
    ///   - namespace: whose interfaces; `nil` for those of the calling thread.
    ///   - hearsLinks: whether changes of the interfaces themselves are told as well.
    /// - Throws: `NetlinkError`, or `NetworkNamespaceError`.
    public init(in namespace: NetworkNamespace? = nil, hearsLinks: Bool = false) throws {
        let socket = if let namespace { try NetlinkSocket(in: namespace) } else { try NetlinkSocket() }
        for group in [RouteGroup.ipv4Address, .ipv6Address] + (hearsLinks ? [.link] : []) {
            try socket.subscribe(to: group)
        }
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        changes = stream
        let source = DispatchSource.makeReadSource(fileDescriptor: socket.fileDescriptor)
        let box = Box(socket: socket)
        source.setEventHandler {
            // What they say does not matter; and when some were lost, that is news as well.
            _ = try? box.socket.notifications(within: 0)
            continuation.yield()
        }
        // Holds the socket until the source is done with it.
        source.setCancelHandler {
            continuation.finish()
            withExtendedLifetime(box) {}
        }
        source.resume()
        self.source = source
    }

    deinit {
        source.cancel()
    }

    /// Unchecked because only the event handler uses it, which never runs twice at a time.
    private struct Box: @unchecked Sendable {
        let socket: NetlinkSocket
    }
}
