import IPAM
import Testing

@testable import Reports

@Suite struct ConfigurationReportTests {
    /// 7.2 (e), in calicoctl's form; the golden files have the defaults of 1.6.
    @Test func settings() throws {
        var configuration = IPAMConfiguration()
        configuration.kubeVirtVMAddressPersistence = "Disabled"
        configuration.maxBlocksPerHost = 7
        let report = configuration
        #expect(
            report.table() == """
                +------------------------------+------------+
                | PROPERTY                     | VALUE      |
                +------------------------------+------------+
                | StrictAffinity               | false      |
                | AutoAllocateBlocks           | true       |
                | MaxBlocksPerHost             | 7          |
                | KubeVirtVMAddressPersistence | "Disabled" |
                | IPCooldownSeconds            | 0          |
                +------------------------------+------------+

                """
        )
        #expect(report.table(.csv).contains("KubeVirtVMAddressPersistence,Disabled\n"))
        #expect(IPAMConfiguration().json().contains(#""kubeVirtVMAddressPersistence": "Enabled""#))
        #expect(report.json().contains(#""maxBlocksPerHost": 7"#))
    }
}
