import ClusterClient
import Foundation
import NetworkTypes
import Testing

@testable import IPAM

@Suite struct IPPoolTests {
    private func inline(_ json: String) throws -> IPPool {
        try IPPool(configured: Data(json.utf8))
    }

    @Test func aConfiguredPoolHasDefaults() throws {
        let pool = try inline(#"{"name": "default", "cidr": "10.80.0.0/16", "unknown": 1}"#)
        #expect(pool == IPPool(name: "default", spec: .init(cidr: CIDR("10.80.0.0/16")!)))
        #expect(pool.problem == nil && pool.isEnabled)
        #expect(pool.spec.blockSize == 26 && pool.spec.nodeSelector == "all()")
        #expect(try inline(#"{"name": "six", "cidr": "fd00:80::/48"}"#).spec.blockSize == 122)
    }

    @Test func theRecordIsCalicosResource() throws {
        let pool = try inline(#"{"name": "default", "cidr": "10.80.0.0/16", "blockSize": 24, "natOutgoing": true}"#)
        #expect(
            String(decoding: try pool.json(), as: UTF8.self)
                == #"{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"default"},"spec":{"#
                + #""allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic","blockSize":24,"#
                + #""cidr":"10.80.0.0/16","ipipMode":"Never","natOutgoing":true,"nodeSelector":"all()","vxlanMode":"Never"}}"#
        )
    }

    @Test func calicosOwnRecordIsRead() throws {
        let json = #"""
            {"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"default-ipv4-ippool",
             "uid":"2d4b1f3c-6a0f-4a62-9b0e-0f3c1f1b2a77","creationTimestamp":"2026-11-20T08:14:03Z"},
             "spec":{"cidr":"192.168.0.0/16","ipipMode":"Always","vxlanMode":"Never","natOutgoing":true,"blockSize":26,
             "nodeSelector":"zone == 'a'","allowedUses":["Workload"],"disabled":true,"disableBGPExport":true},
             "status":{"conditions":[{"type":"Allocatable","status":"False","reason":"PoolDisabled"}]}}
            """#
        let record = Record(key: .resource(.ipPools, name: "x"), value: Data(json.utf8), revision: Revision("1"))
        let pool = try IPPool(record)
        #expect(pool.name == "default-ipv4-ippool" && pool.spec.ipipMode == .always && pool.spec.natOutgoing)
        #expect(pool.spec.isDisabled && pool.spec.disablesBGPExport && !pool.isEnabled)
        #expect(pool.spec.allowedUses == [.workload])
        let again = try IPPool(Record(key: record.key, value: pool.json(), revision: record.revision))
        #expect(again == pool)
    }

    @Test(arguments: [
        (#"{"name": "p", "cidr": "10.80.1.0/16"}"#, "host bits"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "blockSize": 19}"#, "between 20 and 32"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "blockSize": 33}"#, "between 20 and 32"),
        (#"{"name": "p", "cidr": "fd00::/64", "blockSize": 115}"#, "between 116 and 128"),
        (#"{"name": "p", "cidr": "10.0.0.0/27"}"#, "smaller than one block"),
        (#"{"name": "P", "cidr": "10.0.0.0/16"}"#, "name"),
        (#"{"name": "", "cidr": "10.0.0.0/16"}"#, "name"), (#"{"name": "../x", "cidr": "10.0.0.0/16"}"#, "name"),
        (#"{"name": "a..b", "cidr": "10.0.0.0/16"}"#, "name"), (#"{"name": "-a", "cidr": "10.0.0.0/16"}"#, "name"),
        (#"{"name": "p", "cidr": "fd00::/64", "ipipMode": "Always"}"#, "IPv4 only"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "ipipMode": "Always", "vxlanMode": "CrossSubnet"}"#, "exclude"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "allowedUses": ["LoadBalancer", "Workload"]}"#, "every other use"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "allowedUses": ["LoadBalancer"], "vxlanMode": "Always"}"#, "neither"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "nodeSelector": "zone ="}"#, "selector"),
        (#"{"name": "p", "cidr": "10.0.0.0/16", "namespaceSelector": "((("}"#, "selector"),
        (#"{"name": "p", "cidr": "169.254.0.0/17"}"#, "169.254.0.0/16"),
        (#"{"name": "p", "cidr": "0.0.0.0/0"}"#, "overlaps"),
    ])
    func poolsThatCannotBe(_ json: String, _ reason: String) throws {
        let problem = try #require(try inline(json).problem)
        #expect(problem.contains(reason), "\(problem)")
    }

    @Test(arguments: [
        #"{"cidr": "10.0.0.0/16"}"#, #"{"name": "p"}"#, #"{"name": "p", "cidr": "10.0.0.0"}"#,
        #"{"name": 1, "cidr": "10.0.0.0/16"}"#,
        #"{"name": "p", "cidr": "10.0.0.0/16", "blockSize": "26"}"#,
        #"{"name": "p", "cidr": "10.0.0.0/16", "ipipMode": "Sometimes"}"#,
        #"{"name": "p", "cidr": "10.0.0.0/16", "allowedUses": ["Everything"]}"#,
        #"{"name": "p", "cidr": "10.0.0.0/16", "allowedUses": [""]}"#, "[]", "null",
    ])
    func configurationsThatAreNone(_ json: String) {
        #expect(throws: MalformedRecord.self) { try inline(json) }
    }

    @Test func problemsNameTheMember() throws {
        func problem(_ json: String) throws -> String {
            let record = Record(key: .resource(.ipPools, name: "x"), value: Data(json.utf8), revision: Revision("1"))
            return try #require(#expect(throws: IPAMError.self) { try IPPool(record) }).description
        }
        let size = try problem(#"{"metadata": {"name": "x"}, "spec": {"cidr": "10.0.0.0/16", "blockSize": "26"}}"#)
        #expect(size.contains("spec: blockSize: expected a whole number"), "\(size)")
        #expect(try problem(#"{"metadata": {}, "spec": {}}"#).contains("metadata: name is missing"))
        #expect(try problem(#"{"metadata": {"name": "x"}, "spec": {}}"#).contains("spec: cidr is missing"))
    }

    @Test func blocksAreCountedAtAnySize() {
        func count(_ cidr: String, _ size: Int) -> UInt64 {
            IPPool(name: "p", spec: .init(cidr: CIDR(cidr)!, blockSize: size)).blockCount
        }
        #expect(count("10.0.0.0/8", 26) == 262_144)
        #expect(count("10.0.0.0/26", 26) == 1)
        #expect(count("fd00::/8", 122) == .max)
        #expect(count("10.0.0.0/26", 20) == 0)
    }

    @Test(arguments: [
        (#"{}"#, false, true), (#"{"strict_affinity":true}"#, true, false),
        (#"{"strict_affinity":true,"auto_allocate_blocks":true}"#, true, true),
        (#"{"strict_affinity":false,"auto_allocate_blocks":true,"maxBlocksPerHost":3}"#, false, true),
    ])
    func configurationsAreRead(_ json: String, _ strict: Bool, _ autoAllocate: Bool) throws {
        let record = Record(key: .ipamConfiguration, value: Data(json.utf8), revision: Revision("1"))
        let configuration = try IPAMConfiguration(record)
        #expect(configuration.strictAffinity == strict && configuration.autoAllocateBlocks == autoAllocate)
        let written = try configuration.json()
        #expect(String(decoding: written, as: UTF8.self).contains(#""auto_allocate_blocks":\#(autoAllocate)"#))
        #expect(
            try IPAMConfiguration(Record(key: record.key, value: written, revision: record.revision)) == configuration
        )
    }
}
