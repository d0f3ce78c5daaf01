import CNI
import FileLocks
import Glibc
import Netlink

/// The rules for `CNI_NETNS`, which are looked at before anything is done (V11).
enum PodNamespace {
    /// Throws code 8 for what is no network namespace, and for the plugin's own. `CNI_NETNS_OVERRIDE` is for plugins that
    /// make no pod's network: what this one would make of the node, nobody can want.
    static func check(_ path: String) throws(CNIError) {
        let isOwn: Bool
        do throws(NetworkNamespaceError) {
            isOwn = try Self.isOwn(path)
        } catch {
            throw CNIError(error)
        }
        guard !isOwn else {
            throw ownNamespace(
                path,
                "a pod's default route and settings would be the node's there, so CNI_NETNS_OVERRIDE does not allow it"
            )
        }
    }

    /// As ``check(_:)`` for DEL, to which a namespace that is gone, or is none, is as good as none (D1, D4).
    ///
    /// - Returns: the path; `nil` for the plugin's own namespace, in which no ADD makes anything.
    static func checkForDelete(_ path: String?, allowsOwn: Bool) throws(CNIError) -> String? {
        guard let path, (try? isOwn(path)) == true else { return path }
        guard allowsOwn else {
            throw ownNamespace(path, "with CNI_NETNS_OVERRIDE=1 what the attachment has elsewhere is removed")
        }
        return nil
    }

    /// Whether two paths lead to one namespace.
    static func areSame(_ left: String, _ right: String) -> Bool {
        guard left != right else { return true }
        guard let left = try? NetworkNamespace(path: left), let right = try? NetworkNamespace(path: right) else {
            return false
        }
        return left == right
    }

    private static func isOwn(_ path: String) throws(NetworkNamespaceError) -> Bool {
        try NetworkNamespace(path: path) == NetworkNamespace.current()
    }

    private static func ownNamespace(_ path: String, _ remedy: String) -> CNIError {
        CNIError(
            .invalidNamespace,
            "CNI_NETNS is the plugin's own network namespace",
            details: "\(path.quoted); \(remedy)"
        )
    }
}

/// Keeps other calls away from a pod's namespace, so that two calls for one container, which should not be, follow one
/// another (V12, X12). The lock lies on the namespace itself and leaves nothing behind.
struct PodNamespaceLock: ~Copyable {
    private let descriptor: Int32

    /// Throws code 11 when another call has the namespace for longer than it should. A path that cannot be locked, as
    /// that of a namespace that is gone, is none to fight over.
    init(_ path: String?, until deadline: Deadline) throws(CNIError) {
        descriptor = path.map { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } ?? -1
        guard descriptor >= 0 else { return }
        do throws(FileLock.Failure) {
            try FileLock.take(descriptor, until: deadline.instant)
        } catch {
            if error == .timedOut { try deadline.check(before: "another call for the same pod was done") }
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}

/// The rights that a verb needs.
enum Privileges {
    static let message =
        "swiftlet must run as root (CAP_NET_ADMIN and CAP_SYS_ADMIN): it makes network interfaces in other namespaces"

    /// Throws code 5 when the plugin does not run as root.
    static func require() throws(CNIError) {
        guard geteuid() == 0 else {
            throw CNIError(.ioFailure, message, details: "the effective user ID is \(geteuid())")
        }
    }
}
