/// The parts of an endpoint's name: `NODE-k8s-POD-IFNAME`, every `-` inside a part doubled (K4).
struct EndpointName: Hashable, Sendable {
    let node: String
    let pod: String
    let interfaceName: String

    /// `nil` for the endpoint of what is no Pod, and for a name that was cut because it was too long.
    init?(_ name: String) {
        var parts = [""]
        var rest = Substring(name)
        while let character = rest.popFirst() {
            guard character == "-" else {
                parts[parts.count - 1].append(character)
                continue
            }
            if rest.first == "-" {
                rest.removeFirst()
                parts[parts.count - 1].append("-")
            } else {
                parts.append("")
            }
        }
        // A name that was cut ends in a hash, which is longer than any interface's name.
        guard parts.count == 4, parts[1] == "k8s", !parts[2].isEmpty, (1...15).contains(parts[3].utf8.count) else {
            return nil
        }
        node = parts[0]
        pod = parts[2]
        interfaceName = parts[3]
    }

    static func text(node: String, pod: String, interfaceName: String) -> String {
        [node, "k8s", pod, interfaceName].map { part in
            part.split(separator: "-", omittingEmptySubsequences: false).joined(separator: "--")
        }.joined(separator: "-")
    }
}
