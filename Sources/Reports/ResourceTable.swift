import IPAM

/// `get KIND`: columns as calicoctl has them.
public enum ResourceTable {
    public static func text(_ kind: ManagedResource.Kind, _ resources: [ManagedResource]) -> String {
        let rows = resources.map(cells)
        let lines = [titles(kind)] + rows
        let widths = titles(kind).indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let padded = zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            let text = padded.joined(separator: "   ")
            return text.prefix(text.count - text.reversed().prefix { $0 == " " }.count) + "\n"
        }.joined()
    }

    private static func titles(_ kind: ManagedResource.Kind) -> [String] {
        switch kind {
        case .pool: ["NAME", "CIDR", "BLOCKSIZE", "DISABLED", "ASSIGNMENTMODE", "SELECTOR"]
        case .reservation: ["NAME", "CIDRS"]
        case .configuration:
            ["NAME", "STRICTAFFINITY", "AUTOALLOCATEBLOCKS", "MAXBLOCKSPERHOST", "IPCOOLDOWNSECONDS"]
        case .node: ["NAME", "LABELS"]
        }
    }

    private static func cells(_ resource: ManagedResource) -> [String] {
        switch resource {
        case .pool(let pool):
            [
                pool.name, "\(pool.cidr)", "\(pool.spec.blockSize)", "\(pool.spec.isDisabled)",
                pool.spec.assignmentMode.rawValue, pool.spec.nodeSelector,
            ]
        case .reservation(let reservation):
            [reservation.name, reservation.reservedCIDRs.map(\.description).joined(separator: ",")]
        case .configuration(let configuration):
            [
                resource.name, "\(configuration.strictAffinity)", "\(configuration.autoAllocateBlocks)",
                "\(configuration.maxBlocksPerHost)", "\(configuration.ipCooldownSeconds)",
            ]
        case .node(let node):
            [
                node.name,
                node.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","),
            ]
        }
    }
}
