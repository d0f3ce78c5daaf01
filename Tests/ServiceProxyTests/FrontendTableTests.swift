import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct FrontendTableTests {
    private func id(_ name: String) -> Catalog.ServiceID {
        Catalog.ServiceID(ObjectName(namespace: "default", name: name), .ipv4)
    }

    private func frontend(_ service: String, _ last: UInt8, backends: [UInt8] = []) -> Frontend {
        Frontend(
            key: .address(.v4(IPv4Address(192, 0, 2, last)), .tcp, 80),
            kind: .externalIP,
            servicePort: ServicePortName(namespace: "default", name: service, port: "", transport: .tcp),
            route: Route(
                backends: backends.map { Backend(address: .v4(IPv4Address(10, 9, 0, $0)), port: 80, isLocal: false) },
                masquerade: .always,
                whenEmpty: .reject
            )
        )
    }

    @Test func changesAreRelativeToWhatIsProgrammed() {
        var table = FrontendTable()
        let (one, two, three) = (frontend("a", 1), frontend("a", 1, backends: [1]), frontend("a", 1, backends: [2]))
        _ = table.set([one], of: id("a"), created: nil)
        #expect(table.beginCommit() == [.add(one)])
        // What changes twice before it is committed is one change, and nothing when it changes back.
        _ = table.set([two], of: id("a"), created: nil)
        table.commitSucceeded()
        _ = table.set([three], of: id("a"), created: nil)
        #expect(table.beginCommit() == [.replace(old: one, new: three)])
        table.commitSucceeded()
        _ = table.set([], of: id("a"), created: nil)
        _ = table.set([three], of: id("a"), created: nil)
        #expect(table.hasChanges)
        #expect(table.beginCommit() == [])
        table.commitSucceeded()
        #expect(!table.hasChanges)
    }

    @Test func aFailedCommitIsMadeUpFor() {
        var table = FrontendTable()
        let (one, two) = (frontend("a", 1), frontend("a", 1, backends: [1]))
        _ = table.set([one], of: id("a"), created: nil)
        _ = table.beginCommit()
        _ = table.set([two], of: id("a"), created: nil)
        table.commitFailed()
        #expect(table.beginCommit() == [.add(two)])
        table.commitFailed()
        _ = table.set([], of: id("a"), created: nil)
        #expect(table.beginCommit() == [])
    }

    @Test func theOldestOwnsAKey() {
        var table = FrontendTable()
        let (young, old, nameless) = (frontend("young", 1), frontend("old", 1), frontend("nameless", 1))
        #expect(table.set([young], of: id("young"), created: Timestamp(seconds: 20)) == [])
        // Losing and taking over are both reported, once.
        #expect(
            table.set([nameless], of: id("nameless"), created: nil) == [.init(frontend: nameless, owner: id("young"))]
        )
        let taken = table.set([old], of: id("old"), created: Timestamp(seconds: 10))
        #expect(Set(taken) == [.init(frontend: young, owner: id("old")), .init(frontend: nameless, owner: id("old"))])
        #expect(table.frontends == [old])
        #expect(table.set([frontend("nameless", 1, backends: [1])], of: id("nameless"), created: nil) == [])
        _ = table.set([], of: id("old"), created: nil)
        #expect(table.frontends == [young])
        _ = table.set([], of: id("young"), created: nil)
        #expect(table.frontends == [frontend("nameless", 1, backends: [1])])
    }

    @Test func withoutAgeTheNameDecides() {
        var table = FrontendTable()
        _ = table.set([frontend("b", 1)], of: id("b"), created: nil)
        #expect(table.set([frontend("a", 1)], of: id("a"), created: nil).map(\.owner) == [id("a")])
        #expect(table.frontends == [frontend("a", 1)])
    }

    @Test func oneKeyTwiceInOneService() {
        var table = FrontendTable()
        let (first, second) = (frontend("a", 1, backends: [1]), frontend("a", 1, backends: [2]))
        #expect(table.set([first, second, frontend("a", 2)], of: id("a"), created: nil).map(\.frontend) == [second])
        #expect(Set(table.frontends) == [first, frontend("a", 2)])
    }
}
