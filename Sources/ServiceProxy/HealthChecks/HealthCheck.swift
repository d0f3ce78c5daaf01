import JSON
import KubernetesAPI
import NetworkTypes

/// What load balancers are told that ask this node whether it has endpoints of a Service (2.8), in one family.
public struct HealthCheck: Hashable, Sendable {
    /// Where they ask, on every node; 0 when the Service lacks it.
    public let port: UInt16
    /// How many pods of this node are ready, whatever their ports.
    public let localEndpoints: Int
    /// Of the Service; empty when it is not known.
    public let uid: String

    public init(port: UInt16, localEndpoints: Int, uid: String = "") {
        self.port = port
        self.localEndpoints = localEndpoints
        self.uid = uid
    }
}

extension HealthCheck {
    /// `nil` for a Service that load balancers do not ask about (HC-1).
    ///
    /// - Parameter slices: those of the Service in the family.
    init?(_ service: Service, _ slices: [EndpointSlice], on node: NodeFacts) {
        guard service.type == .loadBalancer, service.externalTrafficPolicy == .local else { return nil }
        // Several ports of a pod count once; a pod that shuts down does not, even while it still serves (HC-3).
        var pods: Set<IPAddress> = []
        for slice in slices where slice.ports.contains(where: { $0.port != 0 }) {
            for endpoint in slice.endpoints
            where endpoint.nodeName == node.name && endpoint.isReady && !endpoint.isTerminating {
                pods.insert(endpoint.address)
            }
        }
        self.init(port: service.healthCheckNodePort, localEndpoints: pods.count, uid: service.metadata.uid)
    }
}

/// An answer, the same to any request (HC-2).
public struct HealthCheckAnswer: Hashable, Sendable {
    /// 200, or 503 when the load balancer should send nothing here (HC-4).
    public let code: Int
    /// How much of the traffic this node should get.
    public let weight: Int
    /// JSON (HC-5).
    public let body: String

    public static let weightHeader = "X-Load-Balancing-Endpoint-Weight"

    public init(_ service: ObjectName, localEndpoints: Int, isProxyHealthy: Bool) {
        code = localEndpoints > 0 && isProxyHealthy ? 200 : 503
        weight = localEndpoints
        var writer = JSONWriter(indentation: 4)
        writer.object { writer in
            writer.name("service")
            writer.object { writer in
                writer.name("namespace")
                writer.string(service.namespace)
                writer.name("name")
                writer.string(service.name)
            }
            writer.name("localEndpoints")
            writer.integer(localEndpoints)
            writer.name("serviceProxyHealthy")
            writer.boolean(isProxyHealthy)
        }
        body = String(decoding: writer.bytes, as: UTF8.self)
    }
}
