/// The kinds of objects that describe Services.
public enum ObjectKind: String, Hashable, Sendable, CaseIterable {
    case service = "Service"
    case endpointSlice = "EndpointSlice"
    case endpoints = "Endpoints"
    case node = "Node"
    case serviceCIDR = "ServiceCIDR"

    /// The only version that is read.
    public var apiVersion: String {
        switch self {
        case .service, .endpoints, .node: "v1"
        case .endpointSlice: "discovery.k8s.io/v1"
        case .serviceCIDR: "networking.k8s.io/v1"
        }
    }

    public var isNamespaced: Bool {
        switch self {
        case .service, .endpointSlice, .endpoints: true
        case .node, .serviceCIDR: false
        }
    }
}

/// Names one object.
public struct ObjectKey: Hashable, Sendable {
    public let kind: ObjectKind
    public let name: ObjectName

    public init(_ kind: ObjectKind, _ name: ObjectName) {
        self.kind = kind
        self.name = name
    }
}

extension ObjectKey: CustomStringConvertible {
    public var description: String { "\(kind.rawValue) \(name)" }
}

/// An object of any of the kinds.
public enum KubernetesObject: Hashable, Sendable {
    case service(Service)
    case endpointSlice(EndpointSlice)
    case endpoints(Endpoints)
    case node(Node)
    case serviceCIDR(ServiceCIDR)

    public var kind: ObjectKind {
        switch self {
        case .service: .service
        case .endpointSlice: .endpointSlice
        case .endpoints: .endpoints
        case .node: .node
        case .serviceCIDR: .serviceCIDR
        }
    }

    public var metadata: ObjectMeta {
        get {
            switch self {
            case .service(let object): object.metadata
            case .endpointSlice(let object): object.metadata
            case .endpoints(let object): object.metadata
            case .node(let object): object.metadata
            case .serviceCIDR(let object): object.metadata
            }
        }
        set {
            switch self {
            case .service(var object):
                object.metadata = newValue
                self = .service(object)
            case .endpointSlice(var object):
                object.metadata = newValue
                self = .endpointSlice(object)
            case .endpoints(var object):
                object.metadata = newValue
                self = .endpoints(object)
            case .node(var object):
                object.metadata = newValue
                self = .node(object)
            case .serviceCIDR(var object):
                object.metadata = newValue
                self = .serviceCIDR(object)
            }
        }
    }

    public var key: ObjectKey { ObjectKey(kind, metadata.objectName) }
}

extension KubernetesObject: Encodable {
    private enum CodingKeys: String, CodingKey { case apiVersion, kind }

    /// Reads an object of a kind that is already known; `apiVersion` and `kind` are not looked at.
    public init(_ kind: ObjectKind, from decoder: any Decoder) throws {
        switch kind {
        case .service: self = .service(try Service(from: decoder))
        case .endpointSlice: self = .endpointSlice(try EndpointSlice(from: decoder))
        case .endpoints: self = .endpoints(try Endpoints(from: decoder))
        case .node: self = .node(try Node(from: decoder))
        case .serviceCIDR: self = .serviceCIDR(try ServiceCIDR(from: decoder))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind.apiVersion, forKey: .apiVersion)
        try container.encode(kind.rawValue, forKey: .kind)
        switch self {
        case .service(let object): try object.encode(to: encoder)
        case .endpointSlice(let object): try object.encode(to: encoder)
        case .endpoints(let object): try object.encode(to: encoder)
        case .node(let object): try object.encode(to: encoder)
        case .serviceCIDR(let object): try object.encode(to: encoder)
        }
    }
}
