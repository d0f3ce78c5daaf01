import KubernetesAPI
import NetworkTypes

/// The endpoints of one service port that may receive traffic, under either policy (2.1).
struct EndpointSelection: Hashable {
    /// For traffic that may go to any node; empty as well when no policy of the service port asks for it (EP-1).
    let cluster: [Backend]
    /// For traffic that must stay on this node; empty as well when no policy asks for it (EP-2).
    let local: [Backend]
    /// Whether some endpoint could serve, on whatever node (EP-5): without any, clients are rejected, not dropped.
    let existsSomewhere: Bool

    /// Which of the two lists the policies of a service port need.
    struct Use: Hashable {
        let cluster: Bool
        let local: Bool

        init(isExternallyAccessible: Bool, internalPolicyIsLocal: Bool, externalPolicyIsLocal: Bool) {
            cluster = !internalPolicyIsLocal || isExternallyAccessible  // EP-1
            local = internalPolicyIsLocal || (externalPolicyIsLocal && isExternallyAccessible)  // EP-2
        }
    }

    /// - Parameter candidates: sorted by address and port, without duplicates; see ``EndpointCandidate/matching(_:in:on:)``.
    init(from candidates: [EndpointCandidate], for use: Use, on node: NodeFacts) {
        func backends(_ isUsed: (EndpointCandidate) -> Bool) -> [Backend] {
            candidates.filter(isUsed).map(\.backend)
        }

        let ready = candidates.filter(\.endpoint.isReady)
        var cluster: [Backend] = []
        if use.cluster {
            let topology = TopologyFilter(for: ready.lazy.map(\.endpoint), on: node)
            cluster = ready.filter { topology.admits($0.endpoint) }.map(\.backend)
            if cluster.isEmpty { cluster = backends(\.isLastResort) }  // EP-3
        }
        var local: [Backend] = []
        if use.local {
            local = ready.filter(\.backend.isLocal).map(\.backend)
            if local.isEmpty { local = backends { $0.isLastResort && $0.backend.isLocal } }  // EP-4
        }
        self.cluster = cluster
        self.local = local
        existsSomewhere =
            !cluster.isEmpty || (use.local && (!ready.isEmpty || candidates.contains(where: \.isLastResort)))  // EP-5
    }
}

/// An endpoint together with the port that a service port has on it.
struct EndpointCandidate {
    let endpoint: Endpoint
    let backend: Backend

    /// Whether it serves while it shuts down: used when nothing is ready (EP-3, EP-4), and never otherwise (EP-6).
    var isLastResort: Bool { !endpoint.isReady && endpoint.isServing && endpoint.isTerminating }

    /// The endpoints of a service's slices for one of its ports, matched by the name and protocol of the port (EP-11).
    ///
    /// Sorted by address and port. Of several that share both, one that is not terminating wins, since the address of a
    /// pod is used again (1.3); of those, one that is ready.
    static func matching(_ port: Service.Port, in slices: [EndpointSlice], on node: NodeFacts) -> [EndpointCandidate] {
        var candidates: [EndpointCandidate] = []
        for slice in slices {
            for slicePort in slice.ports
            where slicePort.name == port.name && slicePort.transport == port.transport && slicePort.port != 0 {
                candidates.reserveCapacity(candidates.count + slice.endpoints.count)
                for endpoint in slice.endpoints {
                    let backend = Backend(
                        address: endpoint.address,
                        port: slicePort.port,
                        isLocal: endpoint.nodeName == node.name
                    )
                    candidates.append(EndpointCandidate(endpoint: endpoint, backend: backend))
                }
            }
        }
        candidates.sort { left, right in
            (left.backend.address, left.backend.port, left.staleness)
                < (right.backend.address, right.backend.port, right.staleness)
        }
        var unique: [EndpointCandidate] = []
        unique.reserveCapacity(candidates.count)
        for candidate in candidates {
            if let last = unique.last?.backend, last.address == candidate.backend.address,
                last.port == candidate.backend.port
            {
                continue
            }
            unique.append(candidate)
        }
        return unique
    }

    /// Lower is to be preferred; the last bits only make the choice independent of the order of the slices.
    private var staleness: Int {
        (endpoint.isTerminating ? 8 : 0) + (endpoint.isReady ? 0 : 4) + (endpoint.isServing ? 0 : 2)
            + (backend.isLocal ? 0 : 1)
    }
}

/// What the planner knows about the node that it plans for.
public struct NodeFacts: Hashable, Sendable {
    public let name: String
    /// Empty when the node is in no zone (TOP-4).
    public var zone: String
    /// The node's own address per family.
    public var addresses: [IPFamily: IPAddress]
    /// What the node's pods get their addresses from; empty until the Node object says so.
    public var podCIDRs: [CIDR]

    public init(
        name: String,
        zone: String = "",
        addresses: [IPFamily: IPAddress] = [:],
        podCIDRs: [CIDR] = []
    ) {
        self.name = name
        self.zone = zone
        self.addresses = addresses
        self.podCIDRs = podCIDRs
    }
}
