import ClusterClient
import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

/// Random histories of objects: what the catalog, the planner and the table have after them, step by step, is what
/// they would have had from the final objects alone, and the changes they gave lead there.
@Suite struct HistoryTests {
    struct Seeded: RandomNumberGenerator {
        var state: UInt64

        // SplitMix64.
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }

    private static let planner = ServicePlanner(familiesWithLocalDetection: [.ipv4])

    private struct World {
        var catalog = Catalog(node: NodeFacts(name: "here"))
        var table = FrontendTable()

        mutating func plan() {
            for id in catalog.takeDirtyServices() {
                let service = catalog.service(id.name)
                let frontends = service.map {
                    HistoryTests.planner.plan($0, with: catalog.slices(of: id), in: id.family, on: catalog.node)
                        .frontends
                }
                _ = table.set(frontends ?? [], of: id, created: service?.metadata.creationTimestamp)
            }
        }
    }

    private func randomChange(_ random: inout Seeded) -> ObjectChange {
        func pick<Element>(_ choices: [Element]) -> Element { choices.randomElement(using: &random)! }
        func name(_ text: String) -> ObjectName { ObjectName(namespace: "default", name: text) }
        let services = ["a", "b", "c", "d"]
        func endpoints(_ prefix: String) -> [String] {
            (1...4).filter { _ in Bool.random(using: &random) }.map {
                "\(prefix)\($0) "
                    + pick([
                        "here", "there", "here unready", "there unready terminating", "there zone=z1", "here zone=z2",
                    ])
            }
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3:
            let created = pick([nil, 1, 2] as [Int64?])
            return .set(
                .service(
                    // A small space of addresses and ports, so that Services collide.
                    service(
                        pick(services),
                        type: pick([.clusterIP, .nodePort, .loadBalancer, .externalName]),
                        clusterIPs: pick([["10.96.0.1", "fd96::1"], ["10.96.0.2"], ["10.96.0.3"], []]),
                        ports: pick([
                            [Service.Port(port: 80, nodePort: pick([0, 30000, 30001]))],
                            [
                                Service.Port(name: "x", port: 80),
                                Service.Port(name: "y", transport: .udp, port: 80, nodePort: 30000),
                            ],
                        ]),
                        created: created
                    ) {
                        $0.externalIPs = pick([
                            [], [address("192.0.2.1")], [address("192.0.2.1"), address("10.96.0.2")],
                        ])
                        $0.externalTrafficPolicy = pick([.cluster, .local])
                        $0.internalTrafficPolicy = pick([.cluster, .local])
                        $0.metadata.labels = pick([[:], [:], [LabelKey.serviceProxyName: "x"]])
                    }
                )
            )
        case 3: return .delete(ObjectKey(.service, name(pick(services))))
        case 4..<7:
            let isIPv6 = Bool.random(using: &random)
            return .set(
                .endpointSlice(
                    slice(
                        pick(["s1", "s2", "s3", "s4", "s5"]),
                        of: pick(services + [""]),
                        family: isIPv6 ? .ipv6 : .ipv4,
                        ports: pick([
                            [EndpointPort(port: 8080)],
                            [EndpointPort(name: "x", port: 8080), EndpointPort(name: "y", transport: .udp, port: 53)],
                        ]),
                        endpoints(isIPv6 ? "fd09::" : "10.9.0.")
                    )
                )
            )
        case 7: return .delete(ObjectKey(.endpointSlice, name(pick(["s1", "s2", "s3", "s4", "s5"]))))
        case 8:
            let endpoints = Endpoints(
                metadata: ObjectMeta(name: pick(services), namespace: "default"),
                subsets: [.init(endpoints: endpoints("10.9.1.").map { endpoint($0) }, ports: [EndpointPort(port: 9)])]
            )
            return Bool.random(using: &random)
                ? .set(.endpoints(endpoints)) : .delete(ObjectKey(.endpoints, endpoints.metadata.objectName))
        default:
            return .set(
                .node(
                    Node(
                        metadata: ObjectMeta(
                            name: "here",
                            labels: pick([[LabelKey.zone: "z1"], [LabelKey.zone: "z2"]])
                        )
                    )
                )
            )
        }
    }

    @Test(arguments: 1...40)
    func aHistoryEqualsAFreshStart(_ seed: UInt64) {
        var random = Seeded(state: seed)
        var world = World()
        var objects: [ObjectKey: KubernetesObject] = [:]
        var programmed: [Frontend.Key: Frontend] = [:]
        for step in 0..<150 {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let change = randomChange(&random)
                switch change {
                case .set(let object): objects[object.key] = object
                case .delete(let key): if key.kind != .node { objects[key] = nil }
                }
                world.catalog.apply(change)
            }
            world.plan()
            switch Int.random(in: 0..<4, using: &random) {
            case 0: break  // Nothing is committed; changes add up.
            case 1:
                _ = world.table.beginCommit()
                if Bool.random(using: &random) {  // More changes come in while the commit runs that fails.
                    let change = randomChange(&random)
                    switch change {
                    case .set(let object): objects[object.key] = object
                    case .delete(let key): if key.kind != .node { objects[key] = nil }
                    }
                    world.catalog.apply(change)
                    world.plan()
                }
                world.table.commitFailed()
            default:
                for change in world.table.beginCommit() {
                    switch change {
                    case .add(let new):
                        #expect(programmed.updateValue(new, forKey: new.key) == nil)
                    case .replace(let old, let new):
                        #expect(old != new && old.key == new.key)
                        #expect(programmed.updateValue(new, forKey: new.key) == old)
                    case .remove(let old):
                        #expect(programmed.removeValue(forKey: old.key) == old)
                    }
                }
                world.table.commitSucceeded()
                #expect(Set(world.table.frontends) == Set(programmed.values), "step \(step)")
            }
        }

        var fresh = World()
        for object in objects.values.shuffled(using: &random) { fresh.catalog.apply(.set(object)) }
        fresh.plan()
        #expect(Set(fresh.table.frontends) == Set(world.table.frontends))
        #expect(fresh.table.frontends.count == Set(fresh.table.frontends.map(\.key)).count)
    }
}
