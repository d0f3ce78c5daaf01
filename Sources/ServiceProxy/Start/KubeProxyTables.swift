import NFTables
import NetworkTypes

/// The nftables tables of kube-proxy: "kube-proxy" in the families ip and ip6.
public enum KubeProxyTables {
    static let name = "kube-proxy"

    /// Removes those that there are in the network namespace of this process.
    ///
    /// - Returns: their names.
    /// - Throws: `NFTablesError`; what could be removed is.
    public static func remove() throws -> [String] {
        try remove(from: NetfilterSocket())
    }

    static func remove(from kernel: some NFTablesKernel) throws -> [String] {
        var removed: [String] = []
        for family in IPFamily.allCases {
            let table = Table(family: Family(family), name: name)
            guard try kernel.table(table) != nil else { continue }
            var removal = Transaction(table: table)
            removal.deleteTable()
            try kernel.commit(removal)
            removed.append("\(table)")
        }
        return removed
    }
}
