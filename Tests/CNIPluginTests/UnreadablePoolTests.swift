import ClusterClient
import Foundation
import Testing

/// An IPPool that cannot be read: pods come and go beside it, and the log names it.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct UnreadablePoolTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test func podsComeAndGoBesideIt() async throws {
        let (first, second) = (try bench.pod(), try bench.pod())
        #expect(try await bench.call("ADD", "c1", namespace: first).status == 0)
        let broken = Data(#"{"metadata":{"name":"broken"},"spec":{}}"#.utf8)
        let key = RecordKey.resource(.ipPools, name: "broken")
        _ = try await bench.store.commit([.create(key, broken)])

        let added = try await bench.call("ADD", "c2", namespace: second)
        #expect(added.status == 0, "\(added.output)")
        #expect(added.log.contains("ippools/broken: spec: cidr is missing"), "\(added.log)")
        #expect(try await bench.call("DEL", "c1", namespace: first).status == 0)
        let collected = try await bench.run(
            ["CNI_COMMAND": "GC"],
            stdin: bench.configuration(extra: #", "cni.dev/valid-attachments": []"#)
        )
        #expect(collected.status == 0, "\(collected.output)")
        #expect(try await bench.assignedAddresses() == [])

        // Only where no other pool will do, it is what an ADD fails for.
        let asked = bench.configuration(ipam: #", "ipv4_pools": ["broken"]"#)
        let refused = try await bench.call("ADD", "c3", namespace: second, asked)
        #expect(refused.code == 104 && refused.output.contains("ippools/broken"), "\(refused.output)")
        #expect(try await bench.store.get(key)?.value == broken)
    }
}
