import Digests

/// What the host end of a pod's veth pair is called (4.1).
///
/// The first interface of a pod has the name that Calico gives it, so that policy and tools find it. Further ones have
/// their own name in the hash, so that a pod can have several (complaint C19).
public enum HostInterfaceName {
    public static let defaultPrefix = "cali"
    /// The interface whose host end bears Calico's name.
    public static let firstInterface = "eth0"
    /// Interface names have at most 15 bytes (IFNAMSIZ, less the NUL).
    static let maximumLength = 15
    private static let hashLength = 11

    /// The prefixes in the environment variable FELIX_INTERFACEPREFIX, separated by commas; the first is used for names,
    /// all mark an interface as a pod's. `nil` or nothing means ``defaultPrefix``.
    ///
    /// - Throws: When a prefix cannot start an interface name or leaves less than six places for the hash.
    public static func prefixes(from value: String?) throws(PodNetworkError) -> [String] {
        var prefixes: [String] = []
        for part in (value ?? "").split(separator: ",") {
            let prefix = part.drop { $0 == " " }.prefix { $0 != " " }
            guard !prefix.isEmpty else { continue }
            guard prefix.utf8.count <= maximumLength - 6, isValid(String(prefix)) else {
                throw .invalidRequest("FELIX_INTERFACEPREFIX: \"\(prefix)\" cannot be the start of an interface name")
            }
            prefixes.append(String(prefix))
        }
        return prefixes.isEmpty ? [defaultPrefix] : prefixes
    }

    /// The name for a pod of Kubernetes: the prefix and 11 hexadecimal digits of SHA-1(`NAMESPACE.POD`).
    ///
    /// Pod `web-0` in namespace `default` has `cali0d7763386da`.
    public static func derive(
        prefix: String = defaultPrefix,
        namespace: String,
        pod: String,
        interface: String = firstInterface
    ) -> String {
        // No pod's name has a slash, so that no pod's first interface meets another's second.
        let suffix = interface == firstInterface ? "" : "/\(interface)"
        return hashed("\(namespace).\(pod)\(suffix)", prefix: prefix)
    }

    /// The name for a container that is not a pod of Kubernetes: the prefix and the first 11 characters of its ID.
    public static func derive(
        prefix: String = defaultPrefix,
        containerID: String,
        interface: String = firstInterface
    ) -> String {
        guard interface == firstInterface else { return hashed("\(containerID)/\(interface)", prefix: prefix) }
        let room = max(0, min(hashLength, maximumLength - prefix.utf8.count))
        return prefix + String(decoding: containerID.utf8.prefix(room), as: UTF8.self)
    }

    /// The name for such a container when the other one is taken: IDs that people choose often start alike.
    public static func alternate(
        prefix: String = defaultPrefix,
        containerID: String,
        interface: String = firstInterface
    ) -> String {
        hashed("\(containerID)/\(interface)", prefix: prefix)
    }

    private static func hashed(_ text: String, prefix: String) -> String {
        let length = max(0, min(hashLength, maximumLength - prefix.utf8.count))
        return prefix + String(decoding: SHA1.hexadecimal(of: text).utf8.prefix(length), as: UTF8.self)
    }

    /// Whether the kernel and the CNI specification accept a name (rule V3): 1 to 15 bytes, not `.` or `..`, without
    /// slash, colon, white space or control characters; and without the percent sign, behind which the kernel puts a number
    /// of its own.
    static func isValid(_ name: String) -> Bool {
        (1...maximumLength).contains(name.utf8.count) && name != "." && name != ".."
            && name.unicodeScalars.allSatisfy { scalar in
                scalar != "/" && scalar != ":" && scalar != "%" && !scalar.properties.isWhitespace
                    && scalar.value >= 0x20
                    && scalar.value != 0x7f
            }
    }
}
