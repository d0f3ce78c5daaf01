import IPAM

// `ipam show --show-configuration`: the settings of IPAM (7.2 e).

extension IPAMConfiguration {
    public var table: String {
        var table = Table([.init("PROPERTY"), .init("VALUE")])
        table.add(["StrictAffinity", "\(strictAffinity)"])
        table.add(["AutoAllocateBlocks", "\(autoAllocateBlocks)"])
        table.add(["MaxBlocksPerHost", "\(maxBlocksPerHost)"])
        table.add(["KubeVirtVMAddressPersistence", kubeVirtVMAddressPersistence ?? "<not set>"])
        table.add(["IPCooldownSeconds", "\(ipCooldownSeconds)"])
        return table.text
    }

    public func json() throws -> String {
        try jsonText(
            JSONConfiguration(
                strictAffinity: strictAffinity,
                autoAllocateBlocks: autoAllocateBlocks,
                maxBlocksPerHost: maxBlocksPerHost,
                kubeVirtVMAddressPersistence: JSONNullable(value: kubeVirtVMAddressPersistence),
                ipCooldownSeconds: ipCooldownSeconds
            )
        )
    }
}

private struct JSONConfiguration: Encodable {
    let strictAffinity: Bool
    let autoAllocateBlocks: Bool
    let maxBlocksPerHost: Int
    let kubeVirtVMAddressPersistence: JSONNullable<String>
    let ipCooldownSeconds: Int
}
