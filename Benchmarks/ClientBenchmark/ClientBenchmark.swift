// What it costs to know all Services and endpoints of a cluster: wall time, CPU time and memory of this process until
// everything is listed, and what stays. The API server is another process, such as
//
//     test-apiserver --services 10000 --endpoints 10 --kubeconfig-out FILE

import ArgumentParser
import ClusterClient
import KubernetesAPI
import KubernetesClient
import KubernetesSource
import KubernetesWire
import Logging
import Measuring
import Synchronization

@main
struct ClientBenchmark: AsyncParsableCommand {
    @Option(help: "How to reach the API server.") var kubeconfig: String
    @Option(help: "protobuf or json.") var encoding = "protobuf"
    @Option(help: "Seconds to stay before memory is measured again.") var stay = 2

    func run() async throws {
        guard let encoding = WireEncoding.allCases.first(where: { "\($0)" == encoding }) else {
            throw ValidationError("--encoding is protobuf or json, not \(encoding)")
        }
        let configuration = try KubernetesConfiguration.load(kubeconfig: kubeconfig, master: nil, environment: [:])
        let logger = Logger(label: "benchmark") { StreamLogHandler.standardError(label: $0) }
        let client = try KubernetesClient(configuration, userAgent: "benchmark", rateLimit: nil, logger: logger)
        var settings = KubernetesSource.Settings()
        settings.encoding = encoding
        let source = KubernetesSource(client, [.services, .endpointSlices], settings: settings, logger: logger)

        let known = Known()
        let run = Task { try await source.run { known.take($0) } }
        let cost = try await measureCost {
            while !known.isSynced { try await Task.sleep(for: .milliseconds(5)) }
        }
        try await Task.sleep(for: .seconds(stay))
        let objects = known.counts
        print(
            "encoding=\(encoding) services=\(objects[.service] ?? 0) slices=\(objects[.endpointSlice] ?? 0)",
            "endpoints=\(known.endpoints) wallMs=\(Int(cost.wall)) cpuMs=\(Int(cost.cpu))",
            "peakKiB=\(Int(memory("VmHWM") * 1024)) residentKiB=\(Int(memory("VmRSS") * 1024))"
        )
        run.cancel()
        try? await run.value  // It ends without an error when it is cancelled.
        await client.shutdown()
    }
}

/// A consumer that keeps every object, as the proxy's catalog does.
private final class Known: Sendable {
    private struct State {
        var objects: [ObjectKey: KubernetesObject] = [:]
        var synced: Set<ObjectKind> = []
    }

    private let state = Mutex(State())

    func take(_ batch: ObjectBatch) {
        state.withLock { state in
            for change in batch.changes {
                switch change {
                case .set(let object): state.objects[change.key] = object
                case .delete(let key): state.objects[key] = nil
                }
            }
            state.synced.formUnion(batch.synced)
        }
    }

    var isSynced: Bool { state.withLock { $0.synced.count == 2 } }

    var counts: [ObjectKind: Int] {
        state.withLock { $0.objects.keys.reduce(into: [:]) { $0[$1.kind, default: 0] += 1 } }
    }

    var endpoints: Int {
        state.withLock { state in
            state.objects.values.reduce(0) { count, object in
                if case .endpointSlice(let slice) = object { count + slice.endpoints.count } else { count }
            }
        }
    }
}
