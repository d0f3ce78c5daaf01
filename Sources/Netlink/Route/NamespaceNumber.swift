import NetworkTypes

/// The number that one network namespace has for another (RTM_NEWNSID), as in ``Link/peerNamespace``.
public struct NamespaceNumber: Hashable, Sendable, RawRepresentable {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == RouteMessage.newNamespaceNumber else { return nil }
        let (_, attributes) = try message.split(headerLength: 4)
        rawValue = try attributes.integer(NamespaceAttribute.number) ?? Self.none
    }

    private static let none: Int32 = -1  // NETNSA_NSID_NOT_ASSIGNED

    /// Whether the namespace has a number. It gets one when something refers to it, as a veth into it.
    public var isAssigned: Bool { rawValue != Self.none }
}

private enum NamespaceAttribute: UInt16, NetlinkAttribute {
    case number = 1  // NETNSA_NSID
    case processID = 2  // NETNSA_PID
    case descriptor = 3  // NETNSA_FD
}

extension NetlinkQuery<NamespaceNumber> {
    /// The number that the socket's namespace has for another one.
    public static func number(of namespace: NetworkNamespace) -> NetlinkQuery {
        let descriptor = namespace.descriptor
        return NetlinkQuery(
            NetlinkRequest(
                type: RouteMessage.getNamespaceNumber,
                headerLength: 4,
                attributes: NamespaceAttribute.self,
                retaining: namespace,
                summary: "get the number of network namespace \(namespace.path)"
            ) { builder in
                builder.append(UInt32(0))  // struct rtgenmsg, padded
                builder.attribute(NamespaceAttribute.descriptor, descriptor)
            }
        ) { message throws(MalformedMessage) in try NamespaceNumber(message) }
    }
}
