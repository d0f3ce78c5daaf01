import IPAM
import JSON

// `ipam show --show-configuration`: the settings of IPAM (7.2 e).

extension IPAMConfiguration {
    /// A wide table tells also what 0 blocks come to.
    public func table(_ form: TableForm = .narrow) -> String {
        var table = Table([.init("PROPERTY"), .init("VALUE")])
        let isDefault = form == .wide && maxBlocksPerHost == 0
        table.add(["StrictAffinity", "\(strictAffinity)"])
        table.add(["AutoAllocateBlocks", "\(autoAllocateBlocks)"])
        table.add([
            "MaxBlocksPerHost", "\(maxBlocksPerHost)" + (isDefault ? " (effective \(effectiveMaxBlocksPerHost))" : ""),
        ])
        // Between quotes, as calicoctl writes what is text.
        table.add(["KubeVirtVMAddressPersistence", form == .csv ? persistence : "\"\(persistence)\""])
        table.add(["IPCooldownSeconds", "\(ipCooldownSeconds)"])
        return table.text(form)
    }

    /// Enabled where it was never set (1.6).
    private var persistence: String { kubeVirtVMAddressPersistence ?? "Enabled" }

    public func json() -> String {
        let report: JSONValue = [
            "strictAffinity": .bool(strictAffinity), "autoAllocateBlocks": .bool(autoAllocateBlocks),
            "maxBlocksPerHost": .number(maxBlocksPerHost),
            "kubeVirtVMAddressPersistence": .string(persistence),
            "ipCooldownSeconds": .number(ipCooldownSeconds),
        ]
        return report.report
    }
}
