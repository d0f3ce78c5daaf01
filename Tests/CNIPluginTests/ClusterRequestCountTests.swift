import Foundation
import Testing

/// How many requests a call of the program makes when its node has a block already.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct ClusterRequestCountTests {
    private func requests(_ kind: ClusterStore) async throws -> (add: [String], again: [String], delete: [String]) {
        let cluster = try await ClusterBench(kind)
        let configuration = cluster.configuration(ipv6: false)
        func call(_ command: String, _ number: Int, _ namespace: String, _ pod: String) async throws {
            let outcome = try await cluster.call(
                command,
                "c\(number)",
                namespace: namespace,
                arguments: pod,
                configuration
            )
            #expect(outcome.status == 0, "\(command) \(number): \(outcome.output) \(outcome.log)")
        }
        try await call("ADD", 1, cluster.bench.pod(), cluster.schedule("web-1", container: "c1"))
        let pod = try cluster.bench.pod()
        let web = try cluster.schedule("web-2", container: "c2")
        let add = try await cluster.requests { try await call("ADD", 2, pod, web) }
        let again = try await cluster.requests { try await call("ADD", 2, pod, web) }
        let delete = try await cluster.requests { try await call("DEL", 2, pod, web) }
        return (add, again, delete)
    }

    /// One that reads and one that writes: addresses and endpoint are one transaction.
    @Test func etcdTakesTwoForEach() async throws {
        let (add, again, delete) = try await requests(.etcd)
        #expect(add == ["/v3/kv/txn", "/v3/kv/txn"])
        #expect(again == ["/v3/kv/txn"])
        #expect(delete == ["/v3/kv/txn", "/v3/kv/txn"])
    }

    /// The API reads one kind in one request, so that the seven things an assignment is decided on are seven, sent at
    /// once; Calico's plugin makes 16 in all.
    @Test func kubernetesTakesElevenAndEight() async throws {
        let (add, again, delete) = try await requests(.kubernetes)
        #expect(
            add.sorted() == [
                "GET blockaffinities", "GET clusterinformations", "GET ipamblocks",
                "GET ipamconfigs", "GET ippools", "GET ipreservations", "GET namespaces", "GET pods",
                "PATCH pods/status", "POST ipamhandles", "PUT ipamblocks",
            ]
        )
        // The handle before the block, so that an address is never without its handle; the Pod when all is done.
        #expect(add.suffix(3) == ["POST ipamhandles", "PUT ipamblocks", "PATCH pods/status"])
        // A repeated ADD reads, and writes nothing.
        #expect(again.count == 9)
        #expect(again.allSatisfy { $0.hasPrefix("GET ") }, "\(again)")
        // A handle is deleted in two steps (K2).
        #expect(
            delete.sorted() == [
                "DELETE ipamhandles", "GET ipamblocks", "GET ipamconfigs", "GET ipamhandles", "GET pods",
                "PATCH pods/status", "PUT ipamblocks", "PUT ipamhandles",
            ]
        )
    }
}
