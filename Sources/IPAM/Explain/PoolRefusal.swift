import NetworkTypes

/// Why a pool does not serve a request (P2 to P11).
public enum PoolRefusal: Hashable, Sendable {
    case disabled
    /// It is being deleted.
    case terminating
    /// Its status says that nothing may be assigned from it.
    case notAllocatable(String)
    /// The request names other pools.
    case notRequested
    /// Only those who ask for it get addresses from it.
    case manual
    case nodeSelector(String, labels: [String: String])
    case namespaceSelector(String, labels: [String: String])
    case use(IPPool.Use, allowed: [IPPool.Use])
    /// Every address is reserved.
    case reserved
    /// Nothing in it is free for anybody.
    case full
    /// The node has as many blocks as it may, and they are full.
    case blockLimit(Int)
    /// What is free in it is in blocks of other nodes, which may not be used.
    case strictAffinity(freeElsewhere: Int)

    /// One word for programs.
    public var code: String {
        switch self {
        case .disabled: "disabled"
        case .terminating: "terminating"
        case .notAllocatable: "notAllocatable"
        case .notRequested: "notRequested"
        case .manual: "manual"
        case .nodeSelector: "nodeSelector"
        case .namespaceSelector: "namespaceSelector"
        case .use: "use"
        case .reserved: "reserved"
        case .full: "full"
        case .blockLimit: "blockLimit"
        case .strictAffinity: "strictAffinity"
        }
    }
}

extension PoolRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .disabled: "it is disabled"
        case .terminating: "it is being deleted"
        case .notAllocatable(let reason): "its status says that it is not allocatable (\(reason))"
        case .notRequested: "the pod asks for other pools"
        case .manual: "its assignmentMode is Manual, and the pod does not ask for it"
        case .nodeSelector(let selector, let labels):
            "nodeSelector \(selector) does not match the node, which has \(Self.text(labels))"
        case .namespaceSelector(let selector, let labels):
            "namespaceSelector \(selector) does not match the namespace, which has \(Self.text(labels))"
        case .use(let use, let allowed):
            "its allowedUses are \(allowed.map(\.rawValue).joined(separator: ", ")), not \(use.rawValue)"
        case .reserved: "all of its addresses are reserved"
        case .full: "no address in it is free"
        case .blockLimit(let limit): "the node has its \(limit) blocks already, and they are full (maxBlocksPerHost)"
        case .strictAffinity(let count):
            "the \(count) free addresses in it are in blocks of others, and strictAffinity is on"
        }
    }

    private static func text(_ labels: [String: String]) -> String {
        guard !labels.isEmpty else { return "no labels" }
        return labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
}

extension IPPool {
    /// Why nobody gets addresses from it (P2); empty for an enabled pool.
    var stateRefusals: [PoolRefusal] {
        var refusals: [PoolRefusal] = []
        if spec.isDisabled { refusals.append(.disabled) }
        if metadata.deletionTimestamp != nil { refusals.append(.terminating) }
        if let condition = conditions.first(where: { $0.type == "Allocatable" && $0.status == "False" }) {
            refusals.append(.notAllocatable(condition.reason ?? "no reason is given"))
        }
        return refusals
    }

    /// Why it is not for a pod of this node and namespace that names no pool (P4).
    func selectionRefusals(
        nodeLabels: [String: String],
        namespaceLabels: [String: String]
    ) throws(IPAMError) -> [PoolRefusal] {
        var refusals: [PoolRefusal] = []
        if spec.assignmentMode == .manual { refusals.append(.manual) }
        if try !Allocator.matches(spec.nodeSelector, nodeLabels, self) {
            refusals.append(.nodeSelector(spec.nodeSelector, labels: nodeLabels))
        }
        if try !Allocator.matches(spec.namespaceSelector, namespaceLabels, self) {
            refusals.append(.namespaceSelector(spec.namespaceSelector, labels: namespaceLabels))
        }
        return refusals
    }

    /// Why it is not for this use (P5).
    func useRefusal(_ use: Use) -> PoolRefusal? {
        spec.allowedUses.contains(use) ? nil : .use(use, allowed: spec.allowedUses)
    }
}
