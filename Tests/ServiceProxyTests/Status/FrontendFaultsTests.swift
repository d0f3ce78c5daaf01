import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

@Suite struct FrontendFaultsTests {
    private func frontend(_ name: String, _ ip: String, kind: Frontend.Kind = .clusterIP) -> Frontend {
        Frontend(
            key: .address(address(ip), .tcp, 80),
            kind: kind,
            servicePort: ServicePortName(namespace: "default", name: name, port: "", transport: .tcp),
            route: Route(backends: [], masquerade: .never, whenEmpty: .reject)
        )
    }

    private func id(_ name: String) -> Catalog.ServiceID {
        Catalog.ServiceID(ObjectName(namespace: "default", name: name), .ipv4)
    }

    @Test func aRefusalIsToldAndSoIsItsEnd() {
        var table = FrontendTable()
        var faults = FrontendFaults()
        let bad = frontend("web", "10.96.0.66")
        _ = table.set([bad], of: id("web"), created: nil)

        func commit(refusing isRefused: Bool, again: Bool = false) -> [FrontendFaults.Fault] {
            if again { table.retryRefused() }
            let changes = table.beginCommit()
            table.commitSucceeded()
            let refusals = isRefused ? changes.map { RefusedFrontend(change: $0, reason: "no room") } : []
            for refusal in refusals { table.refuse(refusal.change) }
            return faults.committed(refusals, of: again ? nil : changes, table)
        }

        let first = commit(refusing: true)
        #expect(first.map(\.reason) == ["FailedToProgramFrontend"])
        #expect(first.first?.note == "10.96.0.66:80/TCP is not served as wanted: no room")
        #expect(table.refusedCounts == [.ipv4: 1])
        #expect(commit(refusing: true) == [])
        #expect(commit(refusing: true, again: true).count == 1)
        let last = commit(refusing: false, again: true)
        #expect(table.refusedCounts == [:])
        #expect(last.map(\.reason) == ["FrontendProgrammed"])
        #expect(last.first?.isWarning == false)
        #expect(commit(refusing: false) == [])

        // One that goes is no success.
        _ = table.set([frontend("web", "10.96.0.67")], of: id("web"), created: nil)
        #expect(commit(refusing: true).count == 2)
        #expect(table.refusedCounts == [.ipv4: 2])
        _ = table.set([], of: id("web"), created: nil)
        #expect(table.refusedCounts == [:])
        #expect(commit(refusing: false) == [])
        #expect(commit(refusing: false, again: true) == [])
    }

    @Test func conflictsNameTheOwner() {
        var table = FrontendTable()
        let shared = "203.0.113.1"
        #expect(
            table.set([frontend("old", shared, kind: .externalIP)], of: id("old"), created: Timestamp(seconds: 1))
                .isEmpty
        )
        let conflicts = table.set(
            [frontend("new", shared, kind: .externalIP)],
            of: id("new"),
            created: Timestamp(seconds: 2)
        )
        #expect(conflicts.count == 1)
        let event = ProxyEvent(conflicts[0], uid: "u2")
        #expect(event.subject == .service(ObjectName(namespace: "default", name: "new"), uid: "u2"))
        #expect(event.note == "203.0.113.1:80/TCP belongs to Service default/old, which is older")
        #expect((event.reason, event.action) == ("FrontendConflict", "Program"))
    }

    @Test func frontendsAreCountedByTheirOwners() {
        var table = FrontendTable()
        let (a, b) = ("10.96.0.1", "203.0.113.1")
        _ = table.set([frontend("old", a), frontend("old", b, kind: .externalIP)], of: id("old"), created: nil)
        #expect(table.counts[.clusterIP, .ipv4] == 1)
        #expect(table.counts[.externalIP, .ipv4] == 1)
        #expect(table.counts[.externalIP, .ipv6] == 0)
        // Another claims the same address in another way, and gets it by its age.
        _ = table.set([frontend("new", b, kind: .loadBalancerIP)], of: id("new"), created: Timestamp(seconds: 1))
        #expect(table.counts[.externalIP, .ipv4] == 0)
        #expect(table.counts[.loadBalancerIP, .ipv4] == 1)
        _ = table.set([frontend("old", a, kind: .externalIP)], of: id("old"), created: nil)
        #expect(table.counts[.clusterIP, .ipv4] == 0)
        #expect(table.counts[.externalIP, .ipv4] == 1)
        for name in ["old", "new"] { _ = table.set([], of: id(name), created: nil) }
        #expect(table.counts == FrontendCounts())
    }
}
