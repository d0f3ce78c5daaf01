import KubernetesAPI
import NetworkTypes

@testable import ServiceProxy

// Objects in the short form that tables of cases need.

let thisNode = NodeFacts(
    name: "here",
    zone: "z1",
    addresses: [.ipv4: address("172.16.0.1"), .ipv6: address("fd16::1")]
)

func address(_ text: String) -> IPAddress { IPAddress(text)! }

/// An endpoint from words: its address first, then `here` or `there` (its node; absent for none), `unready`,
/// `unserving`, `terminating`, `zone=Z`, `node=N`.
func endpoint(_ text: String) -> Endpoint {
    let words = text.split(separator: " ").map(String.init)
    var endpoint = Endpoint(address: address(words[0]))
    for word in words.dropFirst() {
        switch word {
        case "here", "there": endpoint.nodeName = word
        case "unready": endpoint.isReady = false
        case "unserving": endpoint.isServing = false
        case "terminating": endpoint.isTerminating = true
        case _ where word.hasPrefix("zone="): endpoint.zoneHints.append(String(word.dropFirst(5)))
        case _ where word.hasPrefix("node="): endpoint.nodeHints.append(String(word.dropFirst(5)))
        default: fatalError("unknown word \(word)")
        }
    }
    return endpoint
}

func slice(
    _ name: String,
    of service: String = "web",
    in namespace: String = "default",
    family: EndpointSlice.AddressType = .ipv4,
    ports: [EndpointPort] = [EndpointPort(port: 8080)],
    _ endpoints: [String]
) -> EndpointSlice {
    EndpointSlice(
        metadata: ObjectMeta(name: name, namespace: namespace, labels: [LabelKey.serviceName: service]),
        addressType: family,
        ports: ports,
        endpoints: endpoints.map(endpoint)
    )
}

func service(
    _ name: String = "web",
    in namespace: String = "default",
    type: Service.ServiceType = .clusterIP,
    clusterIPs: [String] = ["10.96.0.10", "fd96::10"],
    ports: [Service.Port] = [Service.Port(port: 80)],
    created: Int64? = nil,
    _ adjust: (inout Service) -> Void = { _ in }
) -> Service {
    var service = Service(
        metadata: ObjectMeta(
            name: name,
            namespace: namespace,
            creationTimestamp: created.map { Timestamp(seconds: $0) }
        ),
        type: type,
        clusterIPs: clusterIPs.map { address($0) },
        ports: ports
    )
    adjust(&service)
    return service
}

/// What a route says, as `10.9.0.1:8080 10.9.0.2:8080 always`, or `reject never` without backends; `*` marks a backend
/// of this node.
func text(_ route: Route) -> String {
    let backends = route.backends.map { "\($0.address):\($0.port)\($0.isLocal ? "*" : "")" }
    return (backends.isEmpty ? ["\(route.whenEmpty)"] : backends).joined(separator: " ") + " \(route.masquerade)"
}

/// What a frontend says, as `KEY -> ROUTE` with `near ROUTE` where the two differ.
func text(_ frontend: Frontend) -> String {
    "\(frontend.key) -> \(text(frontend.route))" + (frontend.nearRoute.map { " near \(text($0))" } ?? "")
}
