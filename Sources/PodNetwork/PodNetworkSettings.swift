import Netlink
import NetworkTypes

/// The settings of 4.4, for each side of the veth pair.
extension PodNetworkPlan {
    static func hostSettings(_ name: String, _ families: [IPFamily]) -> [Setting] {
        var settings = SettingList()
        if families.contains(.ipv4) {
            settings.require("1", "ipv4", "conf", name, "route_localnet")
            settings.prefer("0", "ipv4", "neigh", name, "proxy_delay")
            settings.require("1", "ipv4", "conf", name, "proxy_arp")
            settings.require("1", "ipv4", "ip_forward")
            settings.require("1", "ipv4", "conf", name, "forwarding")
        }
        // The host never learns routes from a pod. Where IPv6 is compiled out there is nothing to switch off.
        settings.prefer("0", "ipv6", "conf", name, "accept_ra")
        if families.contains(.ipv6) {
            settings.require("0", "ipv6", "conf", name, "disable_ipv6")
            settings.require("0", "ipv6", "conf", name, "accept_dad")
            settings.require("1", "ipv6", "conf", name, "proxy_ndp")
            settings.require("1", "ipv6", "conf", "all", "forwarding")
            settings.require("1", "ipv6", "conf", name, "forwarding")
        }
        return settings.settings
    }

    static func containerSettings(_ name: String, _ families: [IPFamily], _ allowForwarding: Bool) -> [Setting] {
        let forwarding = allowForwarding ? "1" : "0"
        var settings = SettingList()
        if families.contains(.ipv4) {
            settings.require(forwarding, "ipv4", "ip_forward")
        }
        if families.contains(.ipv6) {
            settings.require("0", "ipv6", "conf", name, "accept_dad")
            // Runtimes may have switched IPv6 off. The interface took over the default's value when it was made, and
            // does not follow "all" when that has the right value already.
            for scope in ["all", "default", "lo", name] {
                settings.require("0", "ipv6", "conf", scope, "disable_ipv6")
            }
            settings.require(forwarding, "ipv6", "conf", "all", "forwarding")
        }
        return settings.settings
    }
}

private struct SettingList {
    private(set) var settings: [PodNetworkPlan.Setting] = []

    mutating func require(_ value: String, _ components: String...) {
        append(value, components, isRequired: true)
    }

    mutating func prefer(_ value: String, _ components: String...) {
        append(value, components, isRequired: false)
    }

    private mutating func append(_ value: String, _ components: [String], isRequired: Bool) {
        // Only an invalid interface name makes an invalid setting, and the plan refuses that first.
        guard let sysctl = Sysctl(components) else { return }
        settings.append(PodNetworkPlan.Setting(sysctl: sysctl, value: value, isRequired: isRequired))
    }
}
