import ClusterClient
import Foundation
import IPAM
import TestAPIServer
import TestSupport
import Testing

@testable import Stores

/// `swiftletctl` as a person runs it, on each store.
@Suite struct ControlProgramTests {
    @Test(arguments: ControlledStore.Kind.allCases)
    func showsWhatIsAssigned(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        try await MigrationTests.fill(place.store())
        let table = try await place.run("ipam", "show", "--show-blocks")
        #expect(table.status == 0, "\(table.errors)")
        #expect(table.output.contains("10.80.0.0/24") && table.output.contains("fd80::/120"), "\(table.output)")

        let shown = try await place.run("ipam", "show", "--show-blocks", "-o", "json")
        #expect(shown.status == 0, "\(shown.errors)")
        let json = try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any]
        let pools = try #require(json?["pools"] as? [[String: Any]])
        let four = try #require(pools.first { $0["name"] as? String == "four" })
        #expect(four["ipsInUse"] as? Int == 20)
        let blocks = try #require(four["blocks"] as? [[String: Any]])
        #expect(blocks.contains { $0["affinity"] as? String == "host:node-a" })
        #expect((json?["orphanBlocks"] as? [Any])?.isEmpty == true)

        let allocator = Allocator(datastore: try place.store(), host: "node-a")
        let address = try #require(try await allocator.addresses(ofHandle: "pods.5").first).address.description
        let owner = try await place.run("ipam", "show", "--ip", address, "-o", "json")
        #expect(owner.status == 0, "\(owner.errors)")
        #expect(owner.output.contains("\"pods.5\"") && owner.output.contains("\"p5\""), "\(owner.output)")
        #expect(try await place.run("ipam", "show", "--ip", "10.80.0.250").status == 4)
        withExtendedLifetime(place) {}
    }

    /// Refused, and a host that takes connections and never answers.
    @Test(arguments: [ControlledStore.Kind.etcdv3, .kubernetes], [false, true])
    func aStoreThatIsAwayEndsItSoon(_ kind: ControlledStore.Kind, _ isHanging: Bool) async throws {
        let silence = try SilentPort()
        let port = isHanging ? silence.port : try EtcdServer.freePort()
        let directory = try TemporaryDirectory()
        var environment = ["DATASTORE_TYPE": kind.rawValue, "ETCD_ENDPOINTS": "http://127.0.0.1:\(port)"]
        if kind == .kubernetes {
            let server = try await TestAPIServer()
            let text = server.kubeconfig(.token("secret-token"), servers: ["https://127.0.0.1:\(port)"])
            try text.write(toFile: directory.path + "/kubeconfig", atomically: true, encoding: .utf8)
            environment["KUBECONFIG"] = directory.path + "/kubeconfig"
        }
        for arguments in [
            ["ipam", "show"], ["ipam", "show", "--ip", "10.80.0.1"], ["datastore", "migrate", "export"],
        ] {
            let start = ContinuousClock.now
            let outcome = try await ControlledStore.run(environment, arguments)
            #expect(ContinuousClock.now - start < .seconds(10), "\(arguments)")
            #expect(outcome.status == 5, "\(arguments): \(outcome.output) \(outcome.errors)")
            #expect(outcome.errors.contains("127.0.0.1:\(port)"), "\(outcome.errors)")
            #expect(!outcome.errors.contains("secret-token"))
        }
        withExtendedLifetime((silence, directory)) {}
    }

    /// A node's store goes into a cluster, into the other kind of cluster, and home again.
    @Test func exportAndImportFromStoreToStore() async throws {
        let home = try await ControlledStore(.local)
        let directory = try TemporaryDirectory()
        try await MigrationTests.fill(home.store())
        let before = try await home.run("ipam", "show", "--show-blocks", "-o", "json")
        var source = home
        var places = [home]
        for (number, kind) in [ControlledStore.Kind.etcdv3, .kubernetes, .local].enumerated() {
            let file = directory.path + "/\(number).jsonl"
            #expect(try await source.run("datastore", "migrate", "lock").status == 0)
            let exported = try await source.run("datastore", "migrate", "export", "-f", file)
            #expect(exported.status == 0, "\(exported.errors)")
            #expect(!exported.errors.contains("not locked"), "\(exported.errors)")
            let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
            #expect(mode == 0o600)

            let place = try await ControlledStore(kind)
            let imported = try await place.run("datastore", "migrate", "import", "-f", file)
            #expect(imported.status == 0, "\(imported.errors)")
            #expect(imported.errors.contains("0 were left out"), "\(imported.errors)")
            #expect(try await place.run("datastore", "migrate", "import", "-f", file).status == 0)
            #expect(try await place.run("datastore", "migrate", "unlock").status == 0)
            let after = try await place.run("ipam", "show", "--show-blocks", "-o", "json")
            #expect(after.output == before.output, "\(kind)")
            places.append(place)
            source = place
        }
        withExtendedLifetime((places, directory)) {}
    }
}

/// A port that takes connections, of which nobody ever hears again.
private final class SilentPort: Sendable {
    private let descriptor: Int32
    let port: UInt16

    init() throws {
        port = try EtcdServer.freePort()
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let descriptor = descriptor
        let isListening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 && listen(descriptor, 16) == 0
            }
        }
        #expect(isListening)
    }

    deinit { close(descriptor) }
}
