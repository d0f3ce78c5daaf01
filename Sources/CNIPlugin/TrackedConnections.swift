import NetworkTypes
import PodNetwork

/// The kernel's tracked connections of addresses that are about to be released (C12).
enum TrackedConnections {
    /// Forgets them, as packets of the next pod with the address would go where those of the last one went. That it does
    /// not work is logged and keeps no address from its release.
    static func forget(of addresses: [IPAddress], _ log: PluginLog) {
        do throws(PodNetworkError) {
            let count = try PodNetwork.forgetConnections(of: addresses)
            if count > 0 { log.debug("\(count) connections of \(listing(addresses)) are forgotten") }
        } catch {
            // They end by themselves in time.
            log.warning("tracked connections of \(listing(addresses)) are left: \(error)")
        }
    }
}
