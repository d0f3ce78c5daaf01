import KubernetesAPI
import NetworkTypes
import Testing

@testable import ServiceProxy

struct EndpointSelectionCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let endpoints: [String]
    /// The last octets of the addresses in the lists.
    let cluster: [Int]
    let local: [Int]
    let exists: Bool
    var zone = "z1"

    init(_ name: String, _ endpoints: [String], cluster: [Int], local: [Int], exists: Bool, zone: String = "z1") {
        (testDescription, self.endpoints, self.cluster, self.local) = (name, endpoints, cluster, local)
        (self.exists, self.zone) = (exists, zone)
    }

    static let all = [
        EndpointSelectionCase("nothing", [], cluster: [], local: [], exists: false),
        EndpointSelectionCase(
            "EP-3, EP-4: ready ones",
            ["10.9.0.1 here", "10.9.0.2 there", "10.9.0.3"],
            cluster: [1, 2, 3],
            local: [1],
            exists: true
        ),
        EndpointSelectionCase(
            "EP-3: terminating ones when nothing is ready",
            [
                "10.9.0.1 here unready terminating", "10.9.0.2 there unready terminating",
                "10.9.0.3 unready unserving terminating",
            ],
            cluster: [1, 2],
            local: [1],
            exists: true
        ),
        EndpointSelectionCase(
            "EP-4, EP-7: terminating ones here, ready ones there",
            ["10.9.0.1 here unready terminating", "10.9.0.2 there"],
            cluster: [2],
            local: [1],
            exists: true
        ),
        EndpointSelectionCase(
            "EP-6: never the merely unready",
            [
                "10.9.0.1 here unready", "10.9.0.2 there unready unserving",
                "10.9.0.3 here unready unserving terminating",
            ],
            cluster: [],
            local: [],
            exists: false
        ),
        EndpointSelectionCase(
            "the condition ready decides, whatever the others say",
            ["10.9.0.1 here terminating", "10.9.0.2 here unserving"],
            cluster: [1, 2],
            local: [1, 2],
            exists: true
        ),
        EndpointSelectionCase(
            "EP-5: none here",
            ["10.9.0.2 there"],
            cluster: [2],
            local: [],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-1: same node",
            [
                "10.9.0.1 here node=here zone=z1", "10.9.0.2 there node=there zone=z1",
                "10.9.0.3 there node=there node=here",
            ],
            cluster: [1, 3],
            local: [1],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-2: no node hint names this node, zones do",
            ["10.9.0.1 there node=x zone=z1", "10.9.0.2 here node=y zone=z2"],
            cluster: [1],
            local: [2],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-3: no hints for here",
            ["10.9.0.1 there node=x zone=z3", "10.9.0.2 here node=y zone=z2"],
            cluster: [1, 2],
            local: [2],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-4: a node in no zone",
            ["10.9.0.1 there zone=z1", "10.9.0.2 here zone=z2"],
            cluster: [1, 2],
            local: [2],
            exists: true,
            zone: ""
        ),
        EndpointSelectionCase(
            "TOP-5: one ready endpoint without a hint",
            ["10.9.0.1 there zone=z1", "10.9.0.2 there zone=z2", "10.9.0.3 there"],
            cluster: [1, 2, 3],
            local: [],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-5: an unready one without a hint has no say",
            ["10.9.0.1 there zone=z1", "10.9.0.2 there zone=z2", "10.9.0.3 there unready"],
            cluster: [1],
            local: [],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-6: node hints incomplete, zone hints complete",
            ["10.9.0.1 there node=here zone=z2", "10.9.0.2 there zone=z1"],
            cluster: [2],
            local: [],
            exists: true
        ),
        EndpointSelectionCase(
            "TOP-6: one endpoint has neither",
            ["10.9.0.1 there node=here zone=z1", "10.9.0.2 there"],
            cluster: [1, 2],
            local: [],
            exists: true
        ),
        EndpointSelectionCase(
            "EP-3: the fall-back ignores topology",
            ["10.9.0.1 there unready terminating zone=z2", "10.9.0.2 there unready terminating zone=z1"],
            cluster: [1, 2],
            local: [],
            exists: true
        ),
        EndpointSelectionCase(
            "EP-4: topology does not touch the local list",
            ["10.9.0.1 here zone=z2", "10.9.0.2 there zone=z1"],
            cluster: [2],
            local: [1],
            exists: true
        ),
    ]
}

@Suite struct EndpointSelectionTests {
    private func select(
        _ slices: [EndpointSlice],
        for port: Service.Port = Service.Port(port: 80),
        use: EndpointSelection.Use = .init(
            isExternallyAccessible: true,
            internalPolicyIsLocal: false,
            externalPolicyIsLocal: true
        ),
        on node: NodeFacts = thisNode
    ) -> EndpointSelection {
        EndpointSelection(from: EndpointCandidate.matching(port, in: slices, on: node), for: use, on: node)
    }

    private func octets(_ backends: [Backend]) -> [Int] {
        backends.map { Int($0.address.bytes.last!) }
    }

    @Test(arguments: EndpointSelectionCase.all)
    func selection(_ c: EndpointSelectionCase) {
        let node = NodeFacts(name: "here", zone: c.zone)
        let selection = select([slice("a", c.endpoints)], on: node)
        #expect(octets(selection.cluster) == c.cluster)
        #expect(octets(selection.local) == c.local)
        #expect(selection.existsSomewhere == c.exists)
    }

    /// EP-1, EP-2 and EP-5, for one ready endpoint on another node.
    @Test(
        arguments: [
            (false, false, false, [1], [], true), (false, false, true, [1], [], true),
            (false, true, false, [], [], true),
            (false, true, true, [], [], true), (true, false, false, [1], [], true), (true, false, true, [1], [], true),
            (true, true, false, [1], [], true), (true, true, true, [1], [], true),
        ] as [(Bool, Bool, Bool, [Int], [Int], Bool)]
    )
    func policiesThatAreUsed(
        accessible: Bool,
        internalLocal: Bool,
        externalLocal: Bool,
        cluster: [Int],
        local: [Int],
        exists: Bool
    ) {
        let use = EndpointSelection.Use(
            isExternallyAccessible: accessible,
            internalPolicyIsLocal: internalLocal,
            externalPolicyIsLocal: externalLocal
        )
        #expect(use.cluster == (!internalLocal || accessible))
        #expect(use.local == (internalLocal || externalLocal && accessible))
        let selection = select([slice("a", ["10.9.0.1 there"])], use: use)
        #expect(octets(selection.cluster) == cluster)
        #expect(octets(selection.local) == local)
        #expect(selection.existsSomewhere == exists)
    }

    @Test func portsAreMatchedByNameAndProtocol() {
        let ports = [
            EndpointPort(name: "http", port: 8080), EndpointPort(name: "http", transport: .udp, port: 8081),
            EndpointPort(name: "dns", transport: .udp, port: 53), EndpointPort(name: "", port: 9),
            EndpointPort(name: "no", port: 0),
        ]
        let slices = [slice("a", ports: ports, ["10.9.0.1 here"])]
        func found(_ name: String, _ transport: TransportProtocol) -> [UInt16] {
            select(slices, for: Service.Port(name: name, transport: transport, port: 1)).cluster.map(\.port)
        }
        #expect(found("http", .tcp) == [8080])
        #expect(found("http", .udp) == [8081])
        #expect(found("dns", .udp) == [53])
        #expect(found("dns", .tcp) == [])  // EP-11
        #expect(found("", .tcp) == [9])
        #expect(found("no", .tcp) == [])
    }

    @Test func slicesAreMergedAndSorted() {
        let slices = [
            slice("b", ["10.9.0.7 there", "10.9.0.1 here"]), slice("a", ["10.9.0.3", "10.9.0.1 here"]),
            slice("c", ports: [EndpointPort(port: 80)], ["10.9.0.1 here"]),
        ]
        let selection = select(slices)
        #expect(
            selection.cluster.map { "\($0.address):\($0.port)" }
                == ["10.9.0.1:80", "10.9.0.1:8080", "10.9.0.3:8080", "10.9.0.7:8080"]
        )
        #expect(selection == select(slices.reversed()))
    }

    /// The address of a pod is used again while its old endpoint terminates (1.3).
    @Test(arguments: [false, true])
    func theLivingEndpointWins(reversed: Bool) {
        let slices = [
            slice("a", ["10.9.0.1 there unready terminating", "10.9.0.2 here"]),
            slice("b", ["10.9.0.1 here", "10.9.0.2 here unready"]),
        ]
        let selection = select(reversed ? slices.reversed() : slices)
        #expect(octets(selection.cluster) == [1, 2])
        #expect(octets(selection.local) == [1, 2])
    }
}
