import ClusterClient
import KubernetesAPI
import NetworkTypes
import Testing

@testable import Manifests

@Suite struct ManifestSetTests {
    private func service(_ name: String, port: UInt16) -> KubernetesObject {
        .service(
            Service(
                metadata: ObjectMeta(name: name, namespace: "default"),
                clusterIPs: [],
                ports: [Service.Port(port: port)]
            )
        )
    }

    private func key(_ name: String) -> ObjectKey { ObjectKey(.service, ObjectName(namespace: "default", name: name)) }

    @Test func onlyDifferencesAreDelivered() {
        var set = ManifestSet()
        let (a, b, b2, c) = (service("a", port: 1), service("b", port: 2), service("b", port: 3), service("c", port: 4))
        #expect(set.set([a, b], of: "x.yaml").changes == [.set(a), .set(b)])
        #expect(set.set([b, a], of: "x.yaml").changes == [])
        #expect(set.set([a, b2, c], of: "x.yaml").changes == [.set(b2), .set(c)])
        #expect(set.set([c], of: "x.yaml").changes.count == 2)
        #expect(set.remove("x.yaml").changes == [.delete(key("c"))])
        #expect(set.remove("x.yaml").changes == [])
    }

    @Test func theFirstFileWins() {
        var set = ManifestSet()
        let (one, two, three) = (service("a", port: 1), service("a", port: 2), service("a", port: 3))
        #expect(set.set([two], of: "b.yaml").changes == [.set(two)])
        // A later file is shadowed, an earlier one takes over.
        var update = set.set([three], of: "c.yaml")
        #expect(update.changes == [])
        #expect(update.shadowed == [.init(key: key("a"), file: "c.yaml", winner: "b.yaml")])
        update = set.set([one], of: "a.yaml")
        #expect(update.changes == [.set(one)])
        #expect(update.shadowed.map(\.file) == ["b.yaml", "c.yaml"])
        // Said once.
        #expect(set.set([one], of: "a.yaml").shadowed == [])
        #expect(set.remove("a.yaml").changes == [.set(two)])
        #expect(set.remove("c.yaml").changes == [])
        #expect(set.remove("b.yaml").changes == [.delete(key("a"))])
    }

    @Test func theFirstPlaceInOneFileWins() {
        var set = ManifestSet()
        let update = set.set([service("a", port: 1), service("a", port: 2)], of: "x.yaml")
        #expect(update.changes == [.set(service("a", port: 1))])
        #expect(update.shadowed == [.init(key: key("a"), file: "x.yaml", winner: "x.yaml")])
    }
}
