import Glibc
import Netlink
import NetworkTypes

/// Why a pod's network could not be put in place, removed or checked.
public enum PodNetworkError: Error, Hashable, Sendable {
    /// The request asks for something that no network can have; the text names the value.
    case invalidRequest(String)
    /// There is no network namespace at the path.
    case notANamespace(path: String, reason: String)
    /// The pod's namespace is the one we run in (rule V11).
    case namespaceIsOwn(path: String)
    /// The pod has an interface of that name, and it is not ours.
    case interfaceExists(name: String)
    /// The host has an interface of that name, which is not a pod's, or another pod's.
    case hostInterfaceExists(name: String, description: String)
    /// The host routes a pod's address to somewhere else; `interface` is a name, or describes another next hop.
    case routeConflict(destination: CIDR, interface: String)
    /// The caller may not change the network; the text says what was tried.
    case noPermission(String)
    /// The kernel refused a request.
    case kernel(NetlinkError)
    /// A setting under /proc/sys/net could not be read or written.
    case setting(SysctlError)
    /// A system call failed.
    case system(String)
    /// The attempt failed for `cause`, and the host end that it had made could not be deleted.
    indirect case leftBehind(interface: String, removal: PodNetworkError, cause: PodNetworkError)

    /// Finds the case for an error of the modules below.
    init(_ error: any Error) {
        switch error {
        case let error as PodNetworkError: self = error
        case let error as NetlinkError where error.isPermission: self = .noPermission("\(error)")
        case let error as NetlinkError: self = .kernel(error)
        case let error as SysctlError where error.code == EPERM || error.code == EACCES:
            self = .noPermission("\(error)")
        case let error as SysctlError: self = .setting(error)
        case let error as NetworkNamespaceError:
            switch error {
            case .missing(let path): self = .notANamespace(path: path, reason: "it does not exist")
            case .notANamespace(let path, let reason): self = .notANamespace(path: path, reason: reason)
            case .systemCall: self = error.isPermission ? .noPermission("\(error)") : .system("\(error)")
            }
        default: self = .system("\(error)")
        }
    }

    /// Runs something and gives its error as one of ours.
    static func translating<Value>(_ body: () throws -> Value) throws(PodNetworkError) -> Value {
        do {
            return try body()
        } catch {
            throw PodNetworkError(error)
        }
    }
}

extension PodNetworkError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalidRequest(let reason): reason
        case .notANamespace(let path, let reason): "\(path) is not a network namespace: \(reason)"
        case .namespaceIsOwn(let path): "\(path) is the network namespace of the node itself"
        case .interfaceExists(let name): "the pod already has an interface \(name), which is not ours"
        case .hostInterfaceExists(let name, let description):
            "the host already has an interface \(name): \(description)"
        case .routeConflict(let destination, let interface):
            "the host already has a route to \(destination), to \(interface)"
        case .noPermission(let attempt): "no permission (are we root?): \(attempt)"
        case .kernel(let error): "\(error)"
        case .setting(let error): "\(error)"
        case .system(let text): text
        case .leftBehind(let interface, let removal, let cause):
            "\(cause); and the host interface \(interface) could not be removed: \(removal)"
        }
    }
}
