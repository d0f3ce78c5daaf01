// A process that uses a store, and dies in the middle of it when it is told to. Started by tests.
//
//   store-worker commits DIRECTORY COUNT STEP        COUNT commits, killed before the disk is changed for the STEPth time
//   store-worker increment DIRECTORY COUNT           counts a record up
//   store-worker assign STORE HOST COUNT PREFIX      assigns addresses to handles PREFIX-0, PREFIX-1 …
//   store-worker assign-once STORE HOST HANDLE before|after STEP
//                                                    assigns one address, killed at its operation STEP on the store
//   store-worker churn STORE HOST PREFIX             assigns and releases until it is killed
//
// STORE is local:DIRECTORY, or etcd:ENDPOINT/PREFIX such as etcd:http://127.0.0.1:2379/calico, or kubernetes:URL of an API
// server that asks nobody who he is.

import ClusterClient
import EtcdStore
import Foundation
import Glibc
import IPAM
import KubernetesClient
import KubernetesStore
import Logging
import NetworkTypes
import Synchronization
import TestSupport

/// Written at once, so that what was printed before a kill is seen.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func fail(_ problem: String) -> Never {
    let bytes = Array(("store-worker: \(problem)\n").utf8)
    _ = write(2, bytes, bytes.count)
    exit(1)
}

/// Ends with the process that started it: some commands go on until they are killed.
func endWithParent() {
    let parent = getppid()
    Thread.detachNewThread {
        while getppid() == parent { usleep(200_000) }
        exit(1)
    }
}

endWithParent()
let arguments = CommandLine.arguments.dropFirst()
guard arguments.count >= 3 else { fail("usage") }
let directory = arguments[2]
let number = arguments.count > 2 ? Int(arguments[3]) ?? 0 : 0

do {
    switch arguments[1] {
    case "commits":
        guard let step = Int(arguments[4]) else { fail("no step") }
        let steps = Atomic(0)
        let store = LocalDatastore(dataDirectory: directory, journalCapacity: 40 << 10) { _ in
            if steps.add(1, ordering: .relaxed).oldValue == step { kill(getpid(), SIGKILL) }
        }
        try await CommitScript(store: store).run(number) { say("\($0)") }
        say("done")
    case "increment":
        let store = LocalDatastore(dataDirectory: directory)
        for _ in 0..<number { try await increment(store) }
    case "assign":
        guard let count = Int(arguments[4]), let prefix = arguments.last else { fail("usage") }
        let allocator = Allocator(datastore: try store(arguments[2]), host: arguments[3])
        for index in 0..<count {
            let request = AssignmentRequest(handle: "\(prefix)-\(index)", attributes: ["ifname": "eth0"], ipv4: 1)
            for address in try await allocator.assign(request) { say("\(address.address)") }
        }
    case "assign-once":
        guard arguments.count == 6, let step = Int(arguments[6]) else { fail("usage") }
        let dying = DyingDatastore(base: try store(arguments[2]), step: step, isAfter: arguments[5] == "after")
        let request = AssignmentRequest(handle: arguments[4], attributes: ["ifname": "eth0"], ipv4: 1)
        for address in try await Allocator(datastore: dying, host: arguments[3]).assign(request) {
            say("\(address.address)")
        }
    case "churn":
        guard let prefix = arguments.last else { fail("usage") }
        let allocator = Allocator(datastore: try store(arguments[2]), host: arguments[3])
        for index in 0... {
            let handle = "\(prefix)-\(index % 7)"
            let request = AssignmentRequest(handle: handle, attributes: ["ifname": "eth0"], ipv4: 1, ipv6: 1)
            let addresses = try await allocator.assign(request).map(\.address.description)
            say("+ \(handle) \(addresses.joined(separator: " "))")
            if index % 3 != 0 {
                try await allocator.release(handle: handle, interface: "eth0")
                say("- \(handle)")
            }
        }
    default:
        fail("unknown command \(arguments[1])")
    }
} catch {
    fail("\(error)")
}

func store(_ argument: String) throws -> any Datastore {
    let parts = argument.split(separator: ":", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { fail("\(argument) is no store") }
    switch parts[0] {
    case "local":
        return LocalDatastore(dataDirectory: parts[1])
    case "etcd":
        guard let slash = parts[1].lastIndex(of: "/") else { fail("\(argument) has no prefix") }
        return try EtcdDatastore(
            EtcdConfiguration(environment: ["ETCD_ENDPOINTS": String(parts[1][..<slash])]),
            prefix: String(parts[1][slash...]),
            logger: Logger(label: "store-worker")
        )
    case "kubernetes":
        let client = try KubernetesClient(
            KubernetesConfiguration.load(kubeconfig: nil, master: parts[1], environment: [:]),
            userAgent: "store-worker/1",
            rateLimit: nil,
            logger: Logger(label: "store-worker")
        )
        return KubernetesDatastore(client: client)
    default:
        fail("\(argument) is no store")
    }
}

func increment(_ store: LocalDatastore) async throws {
    while true {
        guard let record = try await store.get(.ipamConfiguration) else { fail("nothing to increment") }
        let count = Int(String(decoding: record.value, as: UTF8.self)) ?? 0
        do throws(DatastoreError) {
            _ = try await store.commit([.update(.ipamConfiguration, Data("\(count + 1)".utf8), record.revision)])
            return
        } catch {
            guard error.reason == .conflict else { throw error }
        }
    }
}
