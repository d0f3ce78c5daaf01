import KubernetesAPI
import Netlink
import NetworkTypes
import Testing

@testable import ServiceProxy

/// CT-1 and CT-3 to CT-6: which changes make flows stale, and which flows these are.
@Suite struct UDPServicesTests {
    private static let planner = ServicePlanner()

    /// A Service with a UDP and a TCP port, that can be dialled in every way.
    private static func dns(
        _ name: String = "dns",
        nodePort: UInt16 = 30053,
        externalIP: String = "192.0.2.53",
        _ adjust: (inout Service) -> Void = { _ in }
    ) -> Service {
        let ports = [
            Service.Port(name: "dns", transport: .udp, port: 53, nodePort: nodePort),
            Service.Port(name: "dns-tcp", port: 53, nodePort: nodePort),
        ]
        return service(name, type: .nodePort, ports: ports) {
            $0.externalIPs = [address(externalIP)]
            adjust(&$0)
        }
    }

    private static let ports = [
        EndpointPort(name: "dns", transport: .udp, port: 5353), EndpointPort(name: "dns-tcp", port: 5353),
    ]

    private static func id(_ service: Service) -> Catalog.ServiceID { .init(service.metadata.objectName, .ipv4) }

    private static func plan(
        _ service: Service,
        _ endpoints: [String],
        ports: [EndpointPort] = ports
    ) -> [Catalog.ServiceID: ServicePlan] {
        let name = service.metadata.name
        let slices = [slice("\(name)-1", of: name, ports: ports, endpoints)]
        return [id(service): planner.plan(service, with: slices, in: .ipv4, on: thisNode)]
    }

    private static func gone(_ service: Service) -> [Catalog.ServiceID: ServicePlan] { [id(service): .empty] }

    /// A flow from words: `10.96.0.10:53`, where it was sent to, and `at 10.9.0.1:5353` where it goes instead.
    private static func flow(_ text: String, transport: TransportProtocol = .udp) -> ConntrackEntry {
        let words = text.split(separator: " ").map(String.init)
        func end(_ text: String) -> (IPAddress, UInt16) {
            let parts = text.split(separator: ":")
            return (address(String(parts[0])), UInt16(parts[1])!)
        }
        let (client, target) = ((address("10.9.7.7"), UInt16(40_000)), end(words[0]))
        let answerer = words.count > 2 ? end(words[2]) : target
        return ConntrackEntry(
            original: .init(from: client.0, client.1, to: target.0, target.1, transport: transport.rawValue),
            reply: .init(from: answerer.0, answerer.1, to: client.0, client.1, transport: transport.rawValue)
        )
    }

    private static let nodeAddress = address("172.16.0.1")

    private static func isStale(
        _ services: UDPServices,
        _ flow: ConntrackEntry,
        _ cleanUp: UDPServices.CleanUp = .init()
    ) -> Bool {
        services.isStale(flow, in: cleanUp) { $0 == nodeAddress }
    }

    @Test(
        arguments: [
            ("10.96.0.10:53 at 10.9.0.1:5353", false),
            // CT-4: serving counts, whether it terminates or not.
            ("10.96.0.10:53 at 10.9.0.2:5353", false),
            ("10.96.0.10:53 at 10.9.0.3:5353", true),
            ("10.96.0.10:53 at 10.9.0.4:5353", true),
            ("192.0.2.53:53 at 10.9.0.1:5353", false),
            ("192.0.2.53:53 at 10.9.0.4:5353", true),
            // CT-5: past the rules, and to a port that the endpoint has no longer.
            ("10.96.0.10:53", true),
            ("192.0.2.53:53", true),
            ("10.96.0.10:53 at 10.9.0.1:53", true),
            // A port that no service has, and a stranger.
            ("10.96.0.10:54", false),
            ("8.8.8.8:53", false),
            ("8.8.8.8:53 at 10.9.0.4:5353", false),
            // Node ports; what only passes through to a port of that number is none.
            ("172.16.0.1:30053 at 10.9.0.1:5353", false),
            ("172.16.0.1:30053 at 10.9.0.4:5353", true),
            ("172.16.0.9:30053 at 10.9.0.4:5353", true),
            ("172.16.0.1:30053", true),
            ("8.8.8.8:30053", false),
        ]
    )
    func staleFlows(_ text: String, _ isStale: Bool) {
        var services = UDPServices()
        let endpoints = ["10.9.0.1 here", "10.9.0.2 there unready terminating", "10.9.0.3 unready unserving"]
        _ = services.programmed(Self.plan(Self.dns(), endpoints), isWhole: true)
        #expect(Self.isStale(services, Self.flow(text)) == isStale)
        // CT-3
        #expect(!Self.isStale(services, Self.flow(text, transport: .tcp)))
        #expect(!Self.isStale(services, Self.flow(text, transport: .sctp)))
    }

    struct Step: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let before: [Catalog.ServiceID: ServicePlan]
        let after: [Catalog.ServiceID: ServicePlan]
        let isDue: Bool
    }

    private static let one = ["10.9.0.1 here"]
    private static let two = ["10.9.0.1 here", "10.9.0.2 there"]

    static let steps: [Step] = [
        Step(testDescription: "nothing changed", before: plan(dns(), one), after: plan(dns(), one), isDue: false),
        Step(testDescription: "an endpoint came", before: plan(dns(), one), after: plan(dns(), two), isDue: false),
        Step(testDescription: "an endpoint went", before: plan(dns(), two), after: plan(dns(), one), isDue: true),
        Step(testDescription: "the last one went", before: plan(dns(), one), after: plan(dns(), []), isDue: true),
        Step(testDescription: "the first one came", before: plan(dns(), []), after: plan(dns(), one), isDue: false),
        Step(
            testDescription: "one terminates and serves",
            before: plan(dns(), two),
            after: plan(dns(), ["10.9.0.1 here", "10.9.0.2 there unready terminating"]),
            isDue: false
        ),
        Step(
            testDescription: "one serves no longer",
            before: plan(dns(), two),
            after: plan(dns(), ["10.9.0.1 here", "10.9.0.2 there unready unserving terminating"]),
            isDue: true
        ),
        Step(
            testDescription: "its port changed",
            before: plan(dns(), one),
            after: plan(dns(), one, ports: [EndpointPort(name: "dns", transport: .udp, port: 5354)]),
            isDue: true
        ),
        Step(
            testDescription: "a policy changed",
            before: plan(dns(), two),
            after: plan(dns { $0.internalTrafficPolicy = .local }, two),
            isDue: false
        ),
        Step(testDescription: "the Service came", before: [:], after: plan(dns(), []), isDue: true),
        Step(testDescription: "the Service went", before: plan(dns(), one), after: gone(dns()), isDue: true),
        Step(
            testDescription: "the node port changed",
            before: plan(dns(), one),
            after: plan(dns(nodePort: 30054), one),
            isDue: true
        ),
        Step(
            testDescription: "the external IP changed",
            before: plan(dns(), one),
            after: plan(dns(externalIP: "192.0.2.54"), one),
            isDue: true
        ),
        Step(
            testDescription: "only TCP",
            before: plan(service(), two),
            after: plan(service(), one),
            isDue: false
        ),
        Step(testDescription: "a TCP Service went", before: plan(service(), one), after: gone(service()), isDue: false),
    ]

    /// CT-1
    @Test(arguments: steps)
    func changesThatMakeFlowsStale(_ step: Step) {
        var services = UDPServices()
        _ = services.programmed(step.before, isWhole: true)
        _ = services.takeDue()
        let isDue = services.programmed(step.after, isWhole: false)
        #expect(isDue == step.isDue)
        let due = services.takeDue()
        #expect(Set(due.keys) == (step.isDue ? [.ipv4] : []))
        let rest = services.takeDue()
        #expect(rest.isEmpty)
    }

    /// The two faults of kube-proxy 1.36 (CT-6).
    @Test func afterTheLastEndpointAndAfterTheService() throws {
        var services = UDPServices()
        _ = services.programmed(Self.plan(Self.dns(), Self.one), isWhole: true)
        let flows = ["10.96.0.10:53", "192.0.2.53:53", "172.16.0.1:30053"].map { Self.flow("\($0) at 10.9.0.1:5353") }
        #expect(!flows.contains { Self.isStale(services, $0) })
        _ = services.programmed(Self.plan(Self.dns(), []), isWhole: false)
        #expect(flows.allSatisfy { Self.isStale(services, $0) })

        _ = services.takeDue()
        _ = services.programmed(Self.gone(Self.dns()), isWhole: false)
        let due = services.takeDue()
        let cleanUp = try #require(due[.ipv4])
        #expect(flows.allSatisfy { Self.isStale(services, $0, cleanUp) })
        // Whoever has the address now, we send nothing there.
        #expect(!Self.isStale(services, Self.flow("192.0.2.53:53"), cleanUp))
        // A clean-up that could not be done is asked for again, with all it has to look for.
        services.putBack(cleanUp, .ipv4)
        let again = services.takeDue()
        #expect(again == [.ipv4: cleanUp])
    }

    @Test func frontendsThatWentAlone() throws {
        var services = UDPServices()
        _ = services.programmed(Self.plan(Self.dns(), Self.one), isWhole: true)
        _ = services.takeDue()
        _ = services.programmed(
            Self.plan(Self.dns(nodePort: 30054, externalIP: "192.0.2.54"), Self.one),
            isWhole: false
        )
        let due = services.takeDue()
        let cleanUp = try #require(due[.ipv4])
        #expect(
            cleanUp.removed == [.nodePort(.ipv4, .udp, 30053), .address(address("192.0.2.53"), .udp, 53)]
        )
        for (text, isStale) in [
            ("172.16.0.1:30053 at 10.9.0.1:5353", true), ("192.0.2.53:53 at 10.9.0.1:5353", true),
            ("172.16.0.1:30054 at 10.9.0.1:5353", false), ("192.0.2.54:53 at 10.9.0.1:5353", false),
            ("10.96.0.10:53 at 10.9.0.1:5353", false),
        ] { #expect(Self.isStale(services, Self.flow(text), cleanUp) == isStale, "\(text)") }
    }

    /// What an earlier process had programmed, and what others do to the rules.
    @Test func afterARestartEverythingIsLookedAtOnce() throws {
        var services = UDPServices()
        let old: Set<Frontend.Key> = [
            .address(address("10.96.0.99"), .udp, 53), .address(address("10.96.0.99"), .tcp, 53),
        ]
        let isDue = services.programmed(Self.plan(Self.dns(), Self.one), removed: old, isWhole: true)
        #expect(isDue)
        let due = services.takeDue()
        let cleanUp = try #require(due[.ipv4])
        #expect(cleanUp.removed == [.address(address("10.96.0.99"), .udp, 53)])
        #expect(Self.isStale(services, Self.flow("10.96.0.99:53 at 10.9.0.4:5353"), cleanUp))
        let isDueWithoutChange = services.programmed([:], isWhole: false)
        #expect(!isDueWithoutChange)
        let isDueAfterRepair = services.programmed([:], isWhole: true)
        #expect(isDueAfterRepair)
        let repaired = services.takeDue()
        #expect(repaired == [.ipv4: .init()])
        var none = UDPServices()
        let isDueWithoutUDP = none.programmed(Self.plan(service(), Self.one), isWhole: true)
        #expect(!isDueWithoutUDP)
    }

    /// Flows that begin while a commit is under way are not taken for those to what it removes.
    @Test func whatACommitMayHaveBroughtAlreadyIsLeftAlone() throws {
        var services = UDPServices()
        _ = services.programmed(Self.plan(Self.dns(), Self.one), isWhole: true)
        let flow = Self.flow("10.96.0.10:53 at 10.9.0.2:5353")
        #expect(Self.isStale(services, flow))
        services.willProgram(Self.plan(Self.dns(), Self.two))
        #expect(!Self.isStale(services, flow))
        _ = services.programmed(Self.plan(Self.dns(), Self.two), isWhole: false)
        #expect(!Self.isStale(services, flow))

        // A Service comes back while the flows of its former life are looked for.
        _ = services.takeDue()
        _ = services.programmed(Self.gone(Self.dns()), isWhole: false)
        let due = services.takeDue()
        let cleanUp = try #require(due[.ipv4])
        services.willProgram(Self.plan(Self.dns(), Self.two))
        #expect(!Self.isStale(services, flow, cleanUp))
        _ = services.programmed(Self.plan(Self.dns(), Self.one), isWhole: false)
        #expect(Self.isStale(services, flow, cleanUp))
    }

    /// Two Services that want one address: whoever has it, its flows stay; and when one goes, its flows go.
    @Test func aFrontendThatTwoWant() {
        var services = UDPServices()
        let (first, second) = (Self.dns("a"), Self.dns("b"))
        _ = services.programmed(Self.plan(first, ["10.9.0.1"]), isWhole: true)
        _ = services.programmed(Self.plan(second, ["10.9.0.2"]), isWhole: false)
        let flows = ["10.9.0.1:5353", "10.9.0.2:5353"].map { Self.flow("192.0.2.53:53 at \($0)") }
        #expect(flows.map { Self.isStale(services, $0) } == [false, false])
        _ = services.takeDue()
        let isDue = services.programmed(Self.gone(first), isWhole: false)
        #expect(isDue)
        #expect(flows.map { Self.isStale(services, $0) } == [true, false])
    }
}
