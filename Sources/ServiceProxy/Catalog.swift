import ClusterClient
import KubernetesAPI
import NetworkTypes

/// The Services of the cluster and their endpoints, and which of them have to be planned again.
///
/// One Service is planned once per family, and a change touches the families that it can matter to.
public struct Catalog: Sendable {
    /// One Service in one family: what is planned at a time.
    public struct ServiceID: Hashable, Sendable {
        public let name: ObjectName
        public let family: IPFamily

        public init(_ name: ObjectName, _ family: IPFamily) {
            self.name = name
            self.family = family
        }
    }

    private struct Entry {
        var service: Service?
        /// Sorted by name.
        var slices: [EndpointSlice] = []
        /// What an Endpoints object says, as slices; counts only where there are no slices.
        var legacySlices: [EndpointSlice] = []

        var isEmpty: Bool { service == nil && slices.isEmpty && legacySlices.isEmpty }
    }

    /// The node that the proxy runs on.
    public private(set) var node: NodeFacts

    /// Counts the changes of ``node`` and of ``serviceCIDRs``.
    public private(set) var surroundingsChanges = 0

    private var cidrs: [ObjectName: [CIDR]] = [:] {
        didSet { if cidrs != oldValue { surroundingsChanges += 1 } }
    }

    /// The ranges that cluster IPs are taken from.
    public var serviceCIDRs: Set<CIDR> { Set(cidrs.values.joined()) }

    /// Also holds slices whose Service is not known (yet): EP-10.
    private var entries: [ObjectName: Entry] = [:]
    /// The Service that each known slice belongs to.
    private var services: [ObjectName: ObjectName] = [:]
    private var dirty: Set<ServiceID> = []
    /// Goes before the address of its family that the Node object has (1.6, `bindAddress`).
    private let fixedAddress: IPAddress?

    public init(node: NodeFacts, fixedAddress: IPAddress? = nil) {
        self.node = node
        self.fixedAddress = fixedAddress
        if let fixedAddress { self.node.addresses[fixedAddress.family] = fixedAddress }
    }

    /// Whether something has to be planned.
    public var hasDirtyServices: Bool { !dirty.isEmpty }

    /// What has to be planned, which is then up to the caller to do.
    public mutating func takeDirtyServices() -> Set<ServiceID> {
        defer { dirty = [] }
        return dirty
    }

    public func service(_ name: ObjectName) -> Service? { entries[name]?.service }

    /// The names of all Services, in no order.
    var serviceNames: [ObjectName] { entries.compactMap { $0.value.service == nil ? nil : $0.key } }

    /// The Services of which something holds; looks at all of them, for a person's rare question.
    func services(where isWanted: (Service) -> Bool) -> [Service] {
        entries.values.compactMap { $0.service.flatMap { isWanted($0) ? $0 : nil } }
    }

    /// The slices of a Service in a family, whichever kind of object they came from.
    public func slices(of id: ServiceID) -> [EndpointSlice] {
        guard let entry = entries[id.name] else { return [] }
        return (entry.slices.isEmpty ? entry.legacySlices : entry.slices).filter { $0.family == id.family }
    }

    public mutating func apply(_ change: ObjectChange) {
        switch change {
        case .set(.service(let service)): set(service, of: service.metadata.objectName)
        case .set(.endpointSlice(let slice)): set(slice)
        case .set(.endpoints(let endpoints)): setLegacy(endpoints.slices, of: endpoints.metadata.objectName)
        case .set(.node(let node)): set(node)
        case .set(.serviceCIDR(let serviceCIDR)): cidrs[serviceCIDR.metadata.objectName] = serviceCIDR.cidrs
        case .delete(let key):
            switch key.kind {
            case .service: set(nil, of: key.name)
            case .endpointSlice: removeSlice(key.name)
            case .endpoints: setLegacy([], of: key.name)
            case .node: break  // The last known state of our own node stays (1.6).
            case .serviceCIDR: cidrs[key.name] = nil
            }
        }
    }

    private mutating func set(_ service: Service?, of name: ObjectName) {
        // Another proxy serves it (1.1): for us it does not exist.
        let service = service?.metadata.labels[LabelKey.serviceProxyName] == nil ? service : nil
        update(name) { entry in
            if let old = entry.service, let service, old.plansLike(service) {
                entry.service = service
                return []
            }
            guard entry.service != nil || service != nil else { return [] }
            entry.service = service
            return IPFamily.allCases
        }
    }

    private mutating func set(_ slice: EndpointSlice) {
        let name = slice.metadata.objectName
        guard let service = slice.serviceName, slice.family != nil, slice.metadata.labels[LabelKey.headless] == nil
        else {
            removeSlice(name)
            return
        }
        if let previous = services[name], previous != service { removeSlice(name) }
        services[name] = service
        update(service) { entry in
            let wasEmpty = entry.slices.isEmpty && !entry.legacySlices.isEmpty
            let index = entry.slices.firstIndex { $0.metadata.name >= name.name } ?? entry.slices.endIndex
            guard index < entry.slices.endIndex, entry.slices[index].metadata.name == name.name else {
                entry.slices.insert(slice, at: index)
                return wasEmpty ? IPFamily.allCases : [slice.family].compactMap(\.self)
            }
            let old = entry.slices[index]
            entry.slices[index] = slice
            guard !old.plansLike(slice) else { return [] }
            return Array(Set([old.family, slice.family].compactMap(\.self)))
        }
    }

    private mutating func removeSlice(_ name: ObjectName) {
        guard let service = services.removeValue(forKey: name) else { return }
        update(service) { entry in
            guard let index = entry.slices.firstIndex(where: { $0.metadata.name == name.name }) else { return [] }
            let old = entry.slices.remove(at: index)
            let legacyCounts = entry.slices.isEmpty && !entry.legacySlices.isEmpty
            return legacyCounts ? IPFamily.allCases : [old.family].compactMap(\.self)
        }
    }

    private mutating func setLegacy(_ slices: [EndpointSlice], of service: ObjectName) {
        update(service) { entry in
            guard entry.legacySlices != slices else { return [] }
            entry.legacySlices = slices
            return entry.slices.isEmpty ? IPFamily.allCases : []
        }
    }

    private mutating func set(_ node: Node) {
        guard node.metadata.name == self.node.name else { return }
        // A Node that is made anew gets its prefixes late; its pods are still there meanwhile.
        let podCIDRs = node.podCIDRs.isEmpty ? self.node.podCIDRs : node.podCIDRs
        var facts = NodeFacts(name: self.node.name, zone: node.zone, podCIDRs: podCIDRs)
        for family in IPFamily.allCases { facts.addresses[family] = node.address(in: family) }
        if let fixedAddress { facts.addresses[fixedAddress.family] = fixedAddress }
        guard facts != self.node else { return }
        self.node = facts
        surroundingsChanges += 1
        for (name, entry) in entries where entry.service != nil {
            for family in IPFamily.allCases { dirty.insert(ServiceID(name, family)) }  // TOP-8, FW-3
        }
    }

    /// Changes an entry in place; `body` returns the families in which it plans differently now.
    private mutating func update(_ name: ObjectName, _ body: (inout Entry) -> [IPFamily]) {
        let families = body(&entries[name, default: Entry()])
        if entries[name]?.isEmpty == true { entries[name] = nil }
        for family in families { dirty.insert(ServiceID(name, family)) }
    }
}

extension Service {
    /// Whether nothing differs that a frontend is made of (2.15).
    fileprivate func plansLike(_ other: Service) -> Bool {
        var other = other
        guard other.metadata.creationTimestamp == metadata.creationTimestamp else { return false }
        other.metadata = metadata
        return other == self
    }
}

extension EndpointSlice {
    fileprivate func plansLike(_ other: EndpointSlice) -> Bool {
        other.addressType == addressType && other.ports == ports && other.endpoints == endpoints
    }
}

extension Endpoints {
    /// The same as slices, one per subset and family.
    fileprivate var slices: [EndpointSlice] {
        guard metadata.labels[LabelKey.headless] == nil else { return [] }
        return subsets.flatMap { subset in
            IPFamily.allCases.compactMap { family in
                let endpoints = subset.endpoints.filter { $0.address.family == family }
                guard !endpoints.isEmpty else { return nil }
                return EndpointSlice(
                    metadata: ObjectMeta(name: metadata.name, namespace: metadata.namespace),
                    addressType: family == .ipv4 ? .ipv4 : .ipv6,
                    ports: subset.ports,
                    endpoints: endpoints
                )
            }
        }
    }
}
