/// What others have changed of a pod's network, and are known to have changed.
public struct LaterChanges: Hashable, Sendable {
    /// The MTU of the host end, when it is not that of the pod's end.
    public var hostMTU: Int?
    /// Whether the pod's interface was given another hardware address, upon which the kernel forgets the neighbours, also
    /// the permanent ones.
    public var hasNewMAC: Bool

    public init(hostMTU: Int? = nil, hasNewMAC: Bool = false) {
        self.hostMTU = hostMTU
        self.hasNewMAC = hasNewMAC
    }
}
