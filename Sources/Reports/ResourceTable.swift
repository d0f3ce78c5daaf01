import IPAM

/// `get KIND`: as `kubectl` prints a table.
public enum ResourceTable {
    private typealias Column = (title: String, isWide: Bool, cell: (ManagedResource) -> String)

    public static func text(
        _ kind: ManagedResource.Kind,
        _ resources: [ManagedResource],
        _ form: TableForm = .narrow
    ) -> String {
        let columns = columns(kind).filter { form != .narrow || !$0.isWide }
        let titles = columns.map(\.title)
        let rows = resources.map { resource in columns.map { $0.cell(resource) } }
        guard form != .csv else { return commaSeparated([titles] + rows) }
        var table = PlainTable(titles)
        for row in rows { table.add(row) }
        return table.text()
    }

    private static func columns(_ kind: ManagedResource.Kind) -> [Column] {
        let name: Column = ("NAME", false, \.name)
        switch kind {
        case .pool:
            func column(_ title: String, isWide: Bool = false, _ cell: @escaping (IPPool) -> String) -> Column {
                (title, isWide, { if case .pool(let pool) = $0 { cell(pool) } else { "" } })
            }
            return [
                name, column("CIDR") { "\($0.cidr)" }, column("BLOCKSIZE") { "\($0.spec.blockSize)" },
                column("NAT", isWide: true) { "\($0.spec.natOutgoing)" },
                column("IPIPMODE", isWide: true) { $0.spec.ipipMode.rawValue },
                column("VXLANMODE", isWide: true) { $0.spec.vxlanMode.rawValue },
                column("DISABLED") { "\($0.spec.isDisabled)" },
                column("ASSIGNMENTMODE") { $0.spec.assignmentMode.rawValue },
                column("ALLOWEDUSES", isWide: true) { $0.spec.allowedUses.map(\.rawValue).joined(separator: ",") },
                column("SELECTOR") { $0.spec.nodeSelector },
                column("NAMESPACESELECTOR", isWide: true) { $0.spec.namespaceSelector },
            ]
        case .reservation:
            return [
                name,
                (
                    "CIDRS", false,
                    {
                        guard case .reservation(let reservation) = $0 else { return "" }
                        return reservation.reservedCIDRs.map(\.description).joined(separator: ",")
                    }
                ),
            ]
        case .configuration:
            func column(
                _ title: String,
                isWide: Bool = false,
                _ cell: @escaping (IPAMConfiguration) -> String
            ) -> Column {
                (title, isWide, { if case .configuration(let settings) = $0 { cell(settings) } else { "" } })
            }
            return [
                name, column("STRICTAFFINITY") { "\($0.strictAffinity)" },
                column("AUTOALLOCATEBLOCKS") { "\($0.autoAllocateBlocks)" },
                column("MAXBLOCKSPERHOST") { "\($0.maxBlocksPerHost)" },
                column("IPCOOLDOWNSECONDS") { "\($0.ipCooldownSeconds)" },
                column("KUBEVIRTVMADDRESSPERSISTENCE", isWide: true) { $0.kubeVirtVMAddressPersistence ?? "" },
            ]
        case .node:
            return [
                name,
                (
                    "LABELS", false,
                    {
                        guard case .node(let node) = $0 else { return "" }
                        return node.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                            .joined(separator: ",")
                    }
                ),
            ]
        }
    }
}
