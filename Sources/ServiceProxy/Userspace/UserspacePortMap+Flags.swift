import NetworkTypes

extension UserspaceOptions.PortMap {
    /// Reads the flags `--userspace-listen` and `--userspace-ports`.
    ///
    /// - Parameters:
    ///   - addresses: separated by commas; empty for the loopback addresses.
    ///   - ports: `namespace/name:port=PORT` or `namespace/name=PORT`, separated by commas.
    ///   - problems: gets what makes no sense, one line each.
    init(addresses: String, ports: String, _ problems: inout [String]) {
        self.init()
        let texts = addresses.split(separator: ",").map { String($0).trimmed }
        if !texts.isEmpty { self.addresses = [] }
        for text in texts {
            guard let address = IPAddress(text) else {
                problems.append("--userspace-listen: \"\(text)\" is no IP address")
                continue
            }
            self.addresses.append(address)
        }
        var owners: [UInt16: Set<String>] = [:]
        for text in ports.split(separator: ",").map({ String($0).trimmed }) {
            let parts = text.split(separator: "=", omittingEmptySubsequences: false).map { String($0).trimmed }
            guard parts.count == 2, parts[0].split(separator: "/", omittingEmptySubsequences: false).count == 2,
                !parts[0].hasPrefix("/"), !parts[0].hasSuffix("/"), let port = UInt16(parts[1]), port > 0
            else {
                problems.append("--userspace-ports: \"\(text)\" is not like namespace/name:port=8080")
                continue
            }
            owners[port, default: []].insert(parts[0])
            self.ports[parts[0]] = port
        }
        // Which protocol each has is known only with the Service.
        for (port, names) in owners.sorted(by: { $0.key < $1.key }) where names.count > 2 {
            let list = names.sorted().joined(separator: ", ")
            problems.append("--userspace-ports: port \(port) is for one of TCP and one of UDP, but is given to \(list)")
        }
    }
}
