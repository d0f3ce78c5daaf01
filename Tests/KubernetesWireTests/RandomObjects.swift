import KubernetesAPI
import NetworkTypes
import TestSupport

/// Objects as an API server may have them, the same for the same seed.
struct RandomObjects {
    private var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func object(_ kind: ObjectKind) -> KubernetesObject {
        switch kind {
        case .service: .service(service())
        case .endpointSlice: .endpointSlice(slice())
        case .endpoints: .endpoints(endpoints())
        case .node: .node(node())
        case .serviceCIDR: .serviceCIDR(ServiceCIDR(metadata: metadata(.serviceCIDR), cidrs: list(2) { $0.prefix() }))
        }
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    mutating func bool() -> Bool { Bool.random(using: &random) }

    private mutating func list<Element>(_ most: Int, _ element: (inout RandomObjects) -> Element) -> [Element] {
        (0..<number(0...most)).map { _ in element(&self) }
    }

    private mutating func name(_ most: Int = 40) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return String((0..<number(1...most)).map { _ in letters.randomElement(using: &random) ?? "a" })
    }

    private mutating func address(_ family: IPFamily) -> IPAddress {
        switch family {
        case .ipv4: .v4(IPv4Address(bits: UInt32.random(in: 0...UInt32.max, using: &random)))
        case .ipv6:
            IPAddress(bytes: (0..<16).map { _ in bool() ? 0 : UInt8(number(0...255)) }) ?? .v6(.unspecified)
        }
    }

    private mutating func prefix() -> CIDR {
        let address = address()
        return CIDR(address, prefixLength: number(0...address.family.addressBits))!.masked
    }

    private mutating func address() -> IPAddress { address(bool() ? .ipv4 : .ipv6) }
    private mutating func transport() -> TransportProtocol { [.tcp, .udp, .sctp][number(0...2)] }

    private mutating func metadata(_ kind: ObjectKind) -> ObjectMeta {
        var metadata = ObjectMeta(name: name(), namespace: kind.isNamespaced ? name(20) : "")
        if bool() { metadata.uid = "\(name())-\(name())" }
        if bool() { metadata.resourceVersion = "\(number(1...1_000_000_000))" }
        if bool() { metadata.creationTimestamp = Timestamp(seconds: Int64(number(1...4_000_000_000))) }
        if kind == .node {
            if bool() { metadata.deletionTimestamp = Timestamp(seconds: Int64(number(1...4_000_000_000))) }
            for _ in 0..<number(0...5) { metadata.labels["\(name(10)).io/\(name(20))"] = name() }
        } else {
            for key in LabelKey.kept where bool() { metadata.labels[key] = bool() ? name() : "" }
        }
        for key in AnnotationKey.kept where bool() { metadata.annotations[key] = bool() ? name() : "" }
        return metadata
    }

    private mutating func service() -> Service {
        let families: [[IPFamily]] = [[], [.ipv4], [.ipv6], [.ipv4, .ipv6], [.ipv6, .ipv4]]
        var service = Service(
            metadata: metadata(.service),
            clusterIPs: families[number(0...4)].map { address($0) },
            ports: []
        )
        service.type = Service.ServiceType.allCases[number(0...3)]
        let several = number(0...4)
        service.ports = (0..<several).map { index in
            Service.Port(
                name: several == 1 && bool() ? "" : "\(name(10))-\(index)",
                transport: transport(),
                port: UInt16(number(1...65535)),
                nodePort: bool() ? 0 : UInt16(number(1...65535))
            )
        }
        service.externalIPs = list(3) { $0.address() }
        service.ingress = list(3) { Service.Ingress(address: $0.address(), isVIP: $0.bool()) }
        service.loadBalancerSourceRanges = list(3) { "\($0.address())/\($0.number(0...32))\"\\\u{1F600}\n" }
        service.externalTrafficPolicy = bool() ? .cluster : .local
        service.internalTrafficPolicy = bool() ? .cluster : .local
        service.affinityTimeout = bool() ? nil : UInt32(number(1...86400))
        service.healthCheckNodePort = bool() ? 0 : UInt16(number(1...65535))
        return service
    }

    private mutating func port() -> EndpointPort {
        EndpointPort(name: bool() ? "" : name(15), transport: transport(), port: UInt16(number(0...65535)))
    }

    private mutating func slice() -> EndpointSlice {
        let type = EndpointSlice.AddressType.allCases[number(0...2)]
        var slice = EndpointSlice(metadata: metadata(.endpointSlice), addressType: type, ports: [], endpoints: [])
        slice.ports = list(3) { $0.port() }
        if let family = slice.family {
            slice.endpoints = list(8) { random in
                Endpoint(
                    address: random.address(family),
                    isReady: random.bool(),
                    isServing: random.bool(),
                    isTerminating: random.bool(),
                    nodeName: random.bool() ? nil : random.name(),
                    zoneHints: random.list(2) { $0.name() },
                    nodeHints: random.list(2) { $0.name() }
                )
            }
        }
        return slice
    }

    private mutating func endpoints() -> Endpoints {
        Endpoints(
            metadata: metadata(.endpoints),
            subsets: list(3) { random in
                func endpoint(_ random: inout RandomObjects, _ isReady: Bool) -> Endpoint {
                    Endpoint(
                        address: random.address(),
                        isReady: isReady,
                        isServing: isReady,
                        nodeName: random.bool() ? nil : random.name()
                    )
                }
                let ready = random.list(4) { endpoint(&$0, true) }
                let others = random.list(4) { endpoint(&$0, false) }
                return Endpoints.Subset(endpoints: ready + others, ports: random.list(3) { $0.port() })
            }
        )
    }

    private mutating func node() -> Node {
        Node(
            metadata: metadata(.node),
            internalIPs: list(3) { $0.address() },
            externalIPs: list(2) { $0.address() },
            podCIDRs: list(2) { $0.prefix() },
            taintKeys: list(3) { $0.name() }
        )
    }
}
