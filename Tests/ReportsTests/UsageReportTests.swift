import ClusterClient
import IPAM
import JSON
import KubernetesAPI
import NetworkTypes
import Testing

@testable import Reports

/// The tables of `reference/calico.md` 7.2, byte for byte.
@Suite struct UsageReportTests {
    @Test func poolsAlone() throws {
        #expect(
            try usage.table(showingBlocks: false) == """
                +----------+---------------+------------+------------+--------------+-------------------+
                | GROUPING | CIDR          | IPS TOTAL  | IPS IN USE | IPS RESERVED | IPS FREE          |
                +----------+---------------+------------+------------+--------------+-------------------+
                | IP Pool  | 10.80.0.0/16  |      65536 |    67 (0%) |     256 (0%) |      65213 (100%) |
                | IP Pool  | 172.28.0.0/27 |         32 |   11 (34%) |       0 (0%) |          21 (66%) |
                | IP Pool  | fd00:80::/48  | 1.2089e+24 |     7 (0%) |       0 (0%) | 1.2089e+24 (100%) |
                +----------+---------------+------------+------------+--------------+-------------------+

                """
        )
    }

    @Test func poolsAndTheirBlocks() throws {
        #expect(
            try usage.table(showingBlocks: true) == """
                +----------+----------------------------------------+------------+------------+--------------+-------------------+
                | GROUPING | CIDR                                   | IPS TOTAL  | IPS IN USE | IPS RESERVED | IPS FREE          |
                +----------+----------------------------------------+------------+------------+--------------+-------------------+
                | IP Pool  | 10.80.0.0/16                           |      65536 |    67 (0%) |     256 (0%) |      65213 (100%) |
                | Block    | 10.80.12.0/26                          |         64 |  64 (100%) |       0 (0%) |            0 (0%) |
                | Block    | 10.80.44.192/26                        |         64 |     3 (5%) |       2 (3%) |          59 (92%) |
                | IP Pool  | 172.28.0.0/27                          |         32 |   11 (34%) |       0 (0%) |          21 (66%) |
                | Block    | 172.28.0.8/29                          |          8 |   8 (100%) |       0 (0%) |            0 (0%) |
                | Block    | 172.28.0.16/29                         |          8 |    3 (38%) |       0 (0%) |           5 (62%) |
                | IP Pool  | fd00:80::/48                           | 1.2089e+24 |     7 (0%) |       0 (0%) | 1.2089e+24 (100%) |
                | Block    | fd00:80:0:1f2e:3d4c:5b6a:7988:9700/122 |         64 |    7 (11%) |       0 (0%) |          57 (89%) |
                +----------+----------------------------------------+------------+------------+--------------+-------------------+

                """
        )
    }

    /// Calico shows no orphan of IPv6.
    @Test func orphansOfBothFamiliesComeLast() throws {
        let usage = IPAMUsage(
            pools: [],
            blocks: [try block("fd00:1::/122", .host("worker-1"), inUse: 2), try block("10.1.0.0/26", nil, inUse: 1)],
            reserved: .none
        )
        #expect(
            usage.table(showingBlocks: true) == """
                +----------+--------------+-----------+------------+--------------+----------+
                | GROUPING | CIDR         | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE |
                +----------+--------------+-----------+------------+--------------+----------+
                | Block    | 10.1.0.0/26  |        64 |     1 (2%) |       0 (0%) | 63 (98%) |
                | Block    | fd00:1::/122 |        64 |     2 (3%) |       0 (0%) | 62 (97%) |
                +----------+--------------+-----------+------------+--------------+----------+

                """
        )
    }

    /// OWNER, NODE and STATE, which calicoctl does not show, and the same for programs.
    @Test func wideTablesTellWhoseBlocksAre() throws {
        let usage = try usage
        let affinities: [CIDR: BlockAffinity.State] = [
            try cidr("10.80.12.0/26"): .confirmed, try cidr("172.28.0.8/29"): .pending,
        ]
        #expect(
            usage.table(showingBlocks: true, .wide, affinities: affinities) == """
                +----------+----------------------------------------+------------+------------+--------------+-------------------+---------+---------------+----------+------------+
                | GROUPING | CIDR                                   | IPS TOTAL  | IPS IN USE | IPS RESERVED | IPS FREE          | POOL    | OWNER         | NODE     | STATE      |
                +----------+----------------------------------------+------------+------------+--------------+-------------------+---------+---------------+----------+------------+
                | IP Pool  | 10.80.0.0/16                           |      65536 |    67 (0%) |     256 (0%) |      65213 (100%) | default |               |          | enabled    |
                | Block    | 10.80.12.0/26                          |         64 |  64 (100%) |       0 (0%) |            0 (0%) | default | host:worker-2 | worker-2 | confirmed  |
                | Block    | 10.80.44.192/26                        |         64 |     3 (5%) |       2 (3%) |          59 (92%) | default |               |          | unowned    |
                | IP Pool  | 172.28.0.0/27                          |         32 |   11 (34%) |       0 (0%) |          21 (66%) | small   |               |          | enabled    |
                | Block    | 172.28.0.8/29                          |          8 |   8 (100%) |       0 (0%) |            0 (0%) | small   | host:worker-1 | worker-1 | pending    |
                | Block    | 172.28.0.16/29                         |          8 |    3 (38%) |       0 (0%) |           5 (62%) | small   | host:worker-1 | worker-1 | unrecorded |
                | IP Pool  | fd00:80::/48                           | 1.2089e+24 |     7 (0%) |       0 (0%) | 1.2089e+24 (100%) | v6      |               |          | enabled    |
                | Block    | fd00:80:0:1f2e:3d4c:5b6a:7988:9700/122 |         64 |    7 (11%) |       0 (0%) |          57 (89%) | v6      | host:worker-1 | worker-1 | unrecorded |
                +----------+----------------------------------------+------------+------------+--------------+-------------------+---------+---------------+----------+------------+

                """
        )
        #expect(
            usage.table(showingBlocks: false, .csv) == """
                GROUPING,CIDR,IPS TOTAL,IPS IN USE,IPS RESERVED,IPS FREE,POOL,OWNER,NODE,STATE
                IP Pool,10.80.0.0/16,65536,67,256,65213,default,,,enabled
                IP Pool,172.28.0.0/27,32,11,0,21,small,,,enabled
                IP Pool,fd00:80::/48,1208925819614629174706176,7,0,1208925819614629174706169,v6,,,enabled

                """
        )
    }

    @Test func statesOfPools() throws {
        var pool = IPPool(name: "old", spec: .init(cidr: try cidr("10.1.0.0/24")))
        pool.spec.isDisabled = true
        let usage = IPAMUsage(
            pools: [pool],
            blocks: [try block("10.1.0.0/26", .virtual("lb"), inUse: 1)],
            reserved: .none
        )
        let csv = usage.table(showingBlocks: true, .csv)
        #expect(csv.hasSuffix("old,,,disabled\nBlock,10.1.0.0/26,64,1,0,63,old,virtual:lb,,unrecorded\n"), "\(csv)")
    }

    /// What is in use and reserved counts as both, and never makes the free negative.
    @Test func aFullBlockThatIsReservedAltogether() throws {
        let usage = IPAMUsage(
            pools: [],
            blocks: [try block("10.1.0.0/26", nil, inUse: 64)],
            reserved: ReservedRanges([try cidr("10.1.0.0/24")])
        )
        #expect(
            usage.table(showingBlocks: true).contains(
                "| Block    | 10.1.0.0/26 |        64 |  64 (100%) |    64 (100%) |   0 (0%) |"
            )
        )
    }

    @Test func jsonHasWholeNumbersAndTextBeyond2To53() throws {
        let json = try usage.json(showingBlocks: true)
        #expect(json.hasSuffix("}\n"))
        #expect(json.contains(#""ipsTotal": "1208925819614629174706176""#))
        #expect(json.contains(#""ipsFree": "1208925819614629174706169""#))
        #expect(json.contains(#""ipsFree": 65213"#))
        #expect(json.contains(#""affinity": "host:worker-2""#))
        #expect(json.contains(#""affinity": null"#))
        #expect(try usage.json(showingBlocks: false).contains("blocks") == false)
    }

    @Test(arguments: [(1 << 53, "9007199254740992"), ((1 << 53) + 1, "\"9007199254740993\"")] as [(UInt128, String)])
    func theBorderOfExactNumbers(_ count: UInt128, _ text: String) throws {
        #expect(JSONValue.count(count).report == text + "\n")
    }

    /// What gives the numbers of the reference's examples.
    private var usage: IPAMUsage {
        get throws {
            let reserved = try [
                "10.80.44.254/31", "10.80.1.0/25", "10.80.1.128/26", "10.80.1.192/27", "10.80.1.224/28",
                "10.80.1.240/29", "10.80.1.248/30", "10.80.1.252/31",
            ].map { try cidr($0) }
            return IPAMUsage(
                pools: [
                    IPPool(name: "v6", spec: .init(cidr: try cidr("fd00:80::/48"))),
                    IPPool(name: "small", spec: .init(cidr: try cidr("172.28.0.0/27"), blockSize: 29)),
                    IPPool(name: "default", spec: .init(cidr: try cidr("10.80.0.0/16"))),
                ],
                blocks: [
                    try block("fd00:80:0:1f2e:3d4c:5b6a:7988:9700/122", .host("worker-1"), inUse: 7),
                    try block("10.80.44.192/26", nil, inUse: 3),
                    try block("10.80.12.0/26", .host("worker-2"), inUse: 64),
                    try block("172.28.0.16/29", .host("worker-1"), inUse: 3),
                    try block("172.28.0.8/29", .host("worker-1"), inUse: 8),
                ],
                reserved: ReservedRanges(reserved)
            )
        }
    }

    private func block(_ text: String, _ affinity: BlockOwner?, inUse: Int) throws -> Block {
        var block = Block(cidr: try cidr(text), affinity: affinity, now: Timestamp(seconds: 0))
        let ordinals = block.assign(count: inUse, to: .init(handleID: "net.container"))
        #expect(ordinals.count == inUse)
        return block
    }

    private func cidr(_ text: String) throws -> CIDR { try #require(CIDR(text)) }
}
