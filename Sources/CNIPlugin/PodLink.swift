import CNI
import NetworkTypes
import PodNetwork

/// The pod's link as one attachment sees it: what PodNetwork is asked for, under which names.
struct PodLink: Sendable {
    let id: AttachmentID
    private let hostInterfaceName: String
    private let alternateName: String?

    init(_ call: Call, prefixes: String?) throws(CNIError) {
        try self.init(call.id, of: call.workload, prefixes: prefixes)
    }

    /// - Parameter prefixes: the value of FELIX_INTERFACEPREFIX, which Calico's agent shares with its plugin.
    init(_ id: AttachmentID, of workload: Workload, prefixes: String?) throws(CNIError) {
        self.id = id
        let prefix: String
        do throws(PodNetworkError) {
            prefix = try HostInterfaceName.prefixes(from: prefixes).first ?? HostInterfaceName.defaultPrefix
        } catch {
            throw CNIError(.invalidEnvironment, "\(error)")
        }
        switch workload {
        case .pod(let pod):
            hostInterfaceName = HostInterfaceName.derive(
                prefix: prefix,
                namespace: pod.namespace,
                pod: pod.name,
                interface: id.interfaceName
            )
            // A Pod's name on the host goes over to its new sandbox.
            alternateName = nil
        case .container(let container):
            hostInterfaceName = HostInterfaceName.derive(
                prefix: prefix,
                containerID: container,
                interface: id.interfaceName
            )
            alternateName = HostInterfaceName.alternate(
                prefix: prefix,
                containerID: container,
                interface: id.interfaceName
            )
        }
    }

    /// What the configuration says about the link of a call.
    func settings(_ call: Call, hasIPv6: Bool) throws(CNIError) -> LinkSettings {
        try LinkSettings(call.configuration.reader, mtuFile: call.settings.mtuFile, hasIPv6: hasIPv6)
    }

    func request(
        namespacePath: String,
        addresses: [IPAddress],
        _ settings: LinkSettings,
        mac: MACAddress?,
        routes: [NetworkResult.Route]
    ) -> PodNetworkRequest {
        PodNetworkRequest(
            namespacePath: namespacePath,
            interfaceName: id.interfaceName,
            hostInterfaceName: hostInterfaceName,
            alternateHostInterfaceName: alternateName,
            owner: Self.owner(id),
            addresses: addresses,
            mtu: settings.mtu,
            mac: mac,
            queues: settings.queues,
            // Their gateways are not looked at: all of a pod's routes lead to the node (1.1).
            routes: routes.map { route in
                .init(to: route.destination, mtu: route.mtu, priority: route.priority.flatMap { UInt32(exactly: $0) })
            },
            allowForwarding: settings.allowsForwarding
        )
    }

    /// What will be recorded of the link, unless its name turns out to be another's.
    func planned(mac: MACAddress) -> WorkloadEndpoint.Link {
        WorkloadEndpoint.Link(hostInterfaceName: hostInterfaceName, mac: mac)
    }

    /// Removes whatever this attachment has, and nothing else.
    ///
    /// - Parameter recordedName: what the host's end was called when it was made, under another prefix perhaps.
    func remove(namespacePath: String?, addresses: [IPAddress], recordedName: String? = nil) throws(CNIError) {
        let own = [hostInterfaceName, alternateName].compactMap { $0 }
        try Self.remove(
            id,
            hostInterfaceNames: own + [recordedName].compactMap { $0 }.filter { !own.contains($0) },
            namespacePath: namespacePath,
            addresses: addresses
        )
    }

    static func remove(
        _ id: AttachmentID,
        hostInterfaceNames: [String],
        namespacePath: String?,
        addresses: [IPAddress]
    ) throws(CNIError) {
        do throws(PodNetworkError) {
            try PodNetwork.detach(
                namespacePath: namespacePath,
                interfaceName: id.interfaceName,
                hostInterfaceNames: hostInterfaceNames,
                addresses: addresses,
                owner: owner(id)
            )
        } catch {
            throw CNIError(error)
        }
    }

    /// What tells this attachment's link from another's that has the same name.
    private static func owner(_ id: AttachmentID) -> String { "\(id.containerID)/\(id.interfaceName)" }
}
