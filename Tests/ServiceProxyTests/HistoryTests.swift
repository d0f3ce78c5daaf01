import ClusterClient
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Random histories of objects: what the catalog, the planner and the table have after them, step by step, is what
/// they would have had from the final objects alone, and the changes they gave lead there.
@Suite struct HistoryTests {
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

    @Test(arguments: 1...40)
    func aHistoryEqualsAFreshStart(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var world = World()
        var objects: [ObjectKey: KubernetesObject] = [:]
        var programmed: [Frontend.Key: Frontend] = [:]
        for step in 0..<150 {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let change = ObjectChange.random(&random)
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
                    let change = ObjectChange.random(&random)
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
