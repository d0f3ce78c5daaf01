import ClusterClient
import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct CatalogTests {
    private func catalog(_ changes: [ObjectChange]) -> Catalog {
        var catalog = Catalog(node: NodeFacts(name: "here"))
        for change in changes { catalog.apply(change) }
        return catalog
    }

    private func ids(_ catalog: inout Catalog) -> Set<String> {
        Set(catalog.takeDirtyServices().map { "\($0.name.name) \($0.family)" })
    }

    private func name(_ name: String) -> ObjectName { ObjectName(namespace: "default", name: name) }

    @Test func onlyWhatIsTouchedIsDirty() {
        var catalog = catalog([
            .set(.service(service("a"))), .set(.service(service("b"))),
            .set(.endpointSlice(slice("a-4", of: "a", ["10.9.0.1"]))),
        ])
        #expect(ids(&catalog) == ["a IPv4", "a IPv6", "b IPv4", "b IPv6"])
        #expect(!catalog.hasDirtyServices)

        catalog.apply(.set(.endpointSlice(slice("a-4", of: "a", ["10.9.0.2"]))))
        #expect(ids(&catalog) == ["a IPv4"])
        catalog.apply(.set(.endpointSlice(slice("a-6", of: "a", family: .ipv6, ["fd09::2"]))))
        #expect(ids(&catalog) == ["a IPv6"])
        catalog.apply(.delete(ObjectKey(.endpointSlice, name("a-4"))))
        #expect(ids(&catalog) == ["a IPv4"])
        // A slice that changes its Service touches both.
        catalog.apply(.set(.endpointSlice(slice("a-6", of: "b", family: .ipv6, ["fd09::2"]))))
        #expect(ids(&catalog) == ["a IPv6", "b IPv6"])
        #expect(catalog.slices(of: .init(name("a"), .ipv6)).isEmpty)
        catalog.apply(.delete(ObjectKey(.service, name("b"))))
        #expect(ids(&catalog) == ["b IPv4", "b IPv6"])
    }

    /// What does not alter a frontend causes nothing (2.15).
    @Test func changesWithoutEffectAreNotDirty() {
        var catalog = catalog([.set(.service(service("a"))), .set(.endpointSlice(slice("s", of: "a", ["10.9.0.1"])))])
        _ = catalog.takeDirtyServices()
        var renewed = service("a")
        renewed.metadata.resourceVersion = "2"
        catalog.apply(.set(.service(renewed)))
        var sameSlice = slice("s", of: "a", ["10.9.0.1"])
        sameSlice.metadata.resourceVersion = "3"
        catalog.apply(.set(.endpointSlice(sameSlice)))
        catalog.apply(.delete(ObjectKey(.service, name("unknown"))))
        catalog.apply(.delete(ObjectKey(.endpointSlice, name("unknown"))))
        catalog.apply(.set(.node(Node(metadata: ObjectMeta(name: "there", labels: [LabelKey.zone: "z"])))))
        #expect(!catalog.hasDirtyServices)
        #expect(catalog.service(name("a"))?.metadata.resourceVersion == "2")
    }

    @Test func serviceCIDRsAddUp() {
        func serviceCIDR(_ name: String, _ cidrs: [String]) -> ObjectChange {
            .set(.serviceCIDR(ServiceCIDR(metadata: ObjectMeta(name: name), cidrs: cidrs.map { CIDR($0)! })))
        }
        var catalog = catalog([
            serviceCIDR("kubernetes", ["10.96.0.0/16", "fd96::/112"]), serviceCIDR("more", ["10.97.0.0/16"]),
        ])
        #expect(catalog.serviceCIDRs == [CIDR("10.96.0.0/16")!, CIDR("fd96::/112")!, CIDR("10.97.0.0/16")!])
        catalog.apply(.delete(ObjectKey(.serviceCIDR, ObjectName(namespace: "", name: "kubernetes"))))
        #expect(catalog.serviceCIDRs == [CIDR("10.97.0.0/16")!])
        #expect(!catalog.hasDirtyServices)
    }

    @Test func thePrefixesOfOurPodsStayUntilThereAreOthers() {
        func node(_ podCIDRs: [String]) -> ObjectChange {
            .set(.node(Node(metadata: ObjectMeta(name: "here"), podCIDRs: podCIDRs.map { CIDR($0)! })))
        }
        var catalog = catalog([node(["10.9.0.0/24"])])
        catalog.apply(node([]))
        #expect(catalog.node.podCIDRs == [CIDR("10.9.0.0/24")!])
        catalog.apply(node(["10.9.1.0/24", "fd09::/64", "10.9.2.0/24"]))
        #expect(
            LocalDetection.nodeCIDR.sources(on: catalog.node) == .within([CIDR("10.9.1.0/24")!, CIDR("fd09::/64")!])
        )
    }

    @Test func theZoneOfOurNodeTouchesEverything() {
        var catalog = catalog([
            .set(.service(service("a"))), .set(.endpointSlice(slice("s", of: "orphan", ["10.9.0.1"]))),
        ])
        _ = catalog.takeDirtyServices()
        let node = Node(
            metadata: ObjectMeta(name: "here", labels: [LabelKey.zone: "z1"]),
            internalIPs: [address("fd00::1")]
        )
        catalog.apply(.set(.node(node)))
        #expect(ids(&catalog) == ["a IPv4", "a IPv6"])
        #expect(catalog.node == NodeFacts(name: "here", zone: "z1", addresses: [.ipv6: address("fd00::1")]))
        catalog.apply(.set(.node(node)))
        #expect(!catalog.hasDirtyServices)
        catalog.apply(.delete(ObjectKey(.node, ObjectName(namespace: "", name: "here"))))
        #expect(catalog.node.zone == "z1")
    }

    @Test func labelsThatExclude() {
        var catalog = catalog([.set(.service(service("a"))), .set(.endpointSlice(slice("s", of: "a", ["10.9.0.1"])))])
        _ = catalog.takeDirtyServices()
        var headless = slice("s", of: "a", ["10.9.0.1"])
        headless.metadata.labels[LabelKey.headless] = ""
        catalog.apply(.set(.endpointSlice(headless)))
        #expect(ids(&catalog) == ["a IPv4"])
        #expect(catalog.slices(of: .init(name("a"), .ipv4)).isEmpty)
        let foreign = service("a") { $0.metadata.labels[LabelKey.serviceProxyName] = "x" }
        catalog.apply(.set(.service(foreign)))
        #expect(ids(&catalog) == ["a IPv4", "a IPv6"])
        #expect(catalog.service(name("a")) == nil)
        catalog.apply(.set(.service(service("a"))))
        #expect(ids(&catalog) == ["a IPv4", "a IPv6"])
    }

    @Test func endpointsServeWhereThereAreNoSlices() {
        let endpoints = Endpoints(
            metadata: ObjectMeta(name: "a", namespace: "default"),
            subsets: [
                .init(endpoints: [endpoint("10.9.0.1"), endpoint("fd09::1")], ports: [.init(port: 1)]),
                .init(endpoints: [endpoint("10.9.0.2 unready unserving")], ports: [.init(port: 2)]),
            ]
        )
        var catalog = catalog([.set(.service(service("a"))), .set(.endpoints(endpoints))])
        _ = catalog.takeDirtyServices()
        let id = Catalog.ServiceID(name("a"), .ipv4)
        #expect(catalog.slices(of: id).map { $0.ports[0].port } == [1, 2])
        #expect(catalog.slices(of: id).flatMap { $0.endpoints.map(\.address.description) } == ["10.9.0.1", "10.9.0.2"])
        #expect(catalog.slices(of: .init(name("a"), .ipv6)).count == 1)

        catalog.apply(.set(.endpointSlice(slice("s", of: "a", ["10.9.0.9"]))))
        #expect(ids(&catalog) == ["a IPv4", "a IPv6"])
        #expect(catalog.slices(of: id).map(\.metadata.name) == ["s"])
        #expect(catalog.slices(of: .init(name("a"), .ipv6)).isEmpty)
        catalog.apply(.set(.endpoints(Endpoints(metadata: endpoints.metadata, subsets: []))))
        #expect(!catalog.hasDirtyServices)
        catalog.apply(.set(.endpoints(endpoints)))
        catalog.apply(.delete(ObjectKey(.endpointSlice, name("s"))))
        #expect(ids(&catalog) == ["a IPv4", "a IPv6"])
        #expect(catalog.slices(of: id).count == 2)
    }

    /// EP-10.
    @Test func slicesMayComeBeforeTheirService() {
        var catalog = catalog([.set(.endpointSlice(slice("s", of: "a", ["10.9.0.1"])))])
        _ = catalog.takeDirtyServices()
        catalog.apply(.set(.service(service("a"))))
        #expect(ids(&catalog) == ["a IPv4", "a IPv6"])
        #expect(catalog.slices(of: .init(name("a"), .ipv4)).count == 1)
    }
}
