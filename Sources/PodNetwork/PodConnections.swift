import Netlink
import NetworkTypes

extension PodNetwork {
    /// How many of one address are forgotten at most; a pod with more leaves the rest to their time-outs.
    private static let connectionLimit = 65_536

    /// Makes the kernel forget the connections of addresses whose pod is gone: the next pod that gets one of them must not
    /// be sent, by a translation that is remembered, what was meant for the last one.
    ///
    /// A node that tracks no connections is not made to begin with it.
    /// - Returns: How many were forgotten.
    public static func forgetConnections(of addresses: [IPAddress]) throws(PodNetworkError) -> Int {
        guard !addresses.isEmpty, let count = Sysctl("netfilter", "nf_conntrack_count"),
            let text = try? count.read(), text != "0"
        else { return 0 }
        return try PodNetworkError.translating {
            let socket = try NetlinkSocket(.netfilter)
            var total = 0
            for address in addresses {
                total += try socket.deleteConntrackEntries(
                    try socket.conntrackEntries(of: address, limit: connectionLimit)
                )
            }
            return total
        }
    }
}
