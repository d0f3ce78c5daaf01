import IPAM
import Testing

@testable import Reports

@Suite struct ConfigurationReportTests {
    @Test func settings() throws {
        var configuration = IPAMConfiguration()
        configuration.kubeVirtVMAddressPersistence = "Enabled"
        configuration.maxBlocksPerHost = 7
        let report = configuration
        #expect(
            report.table() == """
                +------------------------------+---------+
                | PROPERTY                     | VALUE   |
                +------------------------------+---------+
                | StrictAffinity               | false   |
                | AutoAllocateBlocks           | true    |
                | MaxBlocksPerHost             | 7       |
                | KubeVirtVMAddressPersistence | Enabled |
                | IPCooldownSeconds            | 0       |
                +------------------------------+---------+

                """
        )
        #expect(report.json().contains(#""maxBlocksPerHost": 7"#))
    }
}
