// PodNetwork: what a pod's network looks like (`PodNetworkPlan`, a pure value) and how it is put in place, checked and
// removed in real network namespaces. Rules are cited by section of Calico's dataplane description: 4.1 names, 4.2 order,
// 4.3 route conflicts, 4.4 settings, 4.7 clean-up.
//
// Not here: where addresses come from (IPAM), what the pod is called in the cluster, and the CNI protocol.

import Netlink
import NetworkTypes

/// Attaches pods to the node's network.
///
/// The host side is the network namespace of the calling thread. Nothing is remembered between calls; what is in place
/// is read from the kernel.
public enum PodNetwork {
    /// Puts a pod's network in place, or leaves everything as it was.
    ///
    /// When the very same network is in place already, as after a repeated ADD, nothing is changed and the same result is
    /// given; what an ADD that was killed half-way left behind is replaced.
    ///
    /// - Throws: Why it cannot be; no link, route, address or neighbour is left then, unless the error is
    ///   ``PodNetworkError/leftBehind(interface:removal:cause:)``.
    public static func attach(_ request: PodNetworkRequest) throws(PodNetworkError) -> PodInterfaces {
        var attachment = try PodAttachment(request)
        do throws(PodNetworkError) {
            return try attachment.run()
        } catch {
            throw attachment.rollBack(after: error)
        }
    }

    /// Removes a pod's network. What is gone already is no error (rules D1, D3, D4).
    ///
    /// - Parameters:
    ///   - namespacePath: The pod's namespace; `nil` when the runtime does not know it any more.
    ///   - interfaceName: The interface in the pod. It is deleted only when its other end is ours (rule D5).
    ///   - hostInterfaceNames: What the host end may be called: the name of 4.1 and, where there is one, the alternate.
    ///   - addresses: The pod's addresses, as far as known. Host routes to them that lead nowhere are removed.
    ///   - owner: ``PodNetworkRequest/owner``. Without a namespace, a host end is deleted only when it bears this owner,
    ///     or carries a route to one of the addresses: by then it may belong to a new pod of the same name.
    /// - Throws: When something is left that should be gone.
    public static func detach(
        namespacePath: String?,
        interfaceName: String,
        hostInterfaceNames: [String],
        addresses: [IPAddress],
        owner: String? = nil
    ) throws(PodNetworkError) {
        try PodDetachment(
            interfaceName: interfaceName,
            hostInterfaceNames: hostInterfaceNames,
            addresses: addresses,
            owner: owner
        ).run(namespacePath: namespacePath)
    }

    /// Compares what is in place with what ``attach(_:)`` would have made of a request (rule K2), and gives one line
    /// for each difference. Things that others added are none (rule K3).
    ///
    /// A hardware address or an MTU that the request leaves open is not compared.
    ///
    /// - Parameter changes: what others are known to have changed after ``attach(_:)``.
    /// - Throws: When it cannot be found out.
    public static func differences(
        from request: PodNetworkRequest,
        changes: LaterChanges = LaterChanges()
    ) throws(PodNetworkError) -> [String] {
        let plan = try PodNetworkPlan(request)
        let namespace: NetworkNamespace
        do throws(PodNetworkError) {
            namespace = try .openPod(request.namespacePath)
        } catch {
            guard case .notANamespace = error else { throw error }
            return ["\(error)"]
        }
        return try PodInspection(plan, changes: changes).differences(in: namespace)
    }
}

extension NetworkNamespace {
    /// Opens a pod's namespace, which must not be the caller's (rule V11).
    static func openPod(_ path: String) throws(PodNetworkError) -> NetworkNamespace {
        let namespace = try PodNetworkError.translating { try NetworkNamespace(path: path) }
        let own = try PodNetworkError.translating { try NetworkNamespace.current() }
        guard namespace != own else { throw .namespaceIsOwn(path: path) }
        return namespace
    }
}
