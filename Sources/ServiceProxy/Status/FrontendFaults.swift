import KubernetesAPI

/// The frontends that a backend has refused, for telling their Services when that begins and when it is over. Costs
/// nothing while there is none.
struct FrontendFaults: Sendable {
    private var known: [Frontend.Key: ServicePortName] = [:]

    /// - Parameters:
    ///   - refusals: of a commit that else succeeded.
    ///   - changes: what it was about; `nil` for everything, or when refused ones were tried again.
    ///   - table: as it is after that commit, the refusals noted in it.
    mutating func committed(
        _ refusals: [RefusedFrontend],
        of changes: [FrontendChange]?,
        _ table: FrontendTable
    ) -> [Fault] {
        guard !known.isEmpty || !refusals.isEmpty else { return [] }
        var faults = refusals.map { refusal in
            Fault(
                servicePort: refusal.frontend.servicePort,
                reason: "FailedToProgramFrontend",
                isWarning: true,
                note: "\(refusal.frontend.key) is not served as wanted: \(refusal.reason)"
            )
        }
        for refusal in refusals { known[refusal.frontend.key] = refusal.frontend.servicePort }
        let tried = changes.map { $0.map(\.key) } ?? Array(known.keys)
        for key in tried where table.isSettled(key) {
            guard let port = known.removeValue(forKey: key) else { continue }
            // It may also have gone, or belong to somebody else now, which is no news.
            guard table.frontend(key)?.servicePort == port else { continue }
            faults.append(
                Fault(
                    servicePort: port,
                    reason: "FrontendProgrammed",
                    isWarning: false,
                    note: "\(key) was refused before, and is served now"
                )
            )
        }
        return faults
    }

    /// News about a frontend.
    struct Fault: Hashable, Sendable {
        let servicePort: ServicePortName
        let reason: String
        let isWarning: Bool
        let note: String
    }
}

extension ProxyEvent {
    /// - Parameter uid: of the Service; empty when it is not known.
    init(_ fault: FrontendFaults.Fault, uid: String) {
        self.init(
            about: .service(fault.servicePort.service, uid: uid),
            isWarning: fault.isWarning,
            reason: fault.reason,
            action: "Program",
            note: fault.note
        )
    }

    /// Two Services want the same frontend.
    init(_ conflict: FrontendTable.Conflict, uid: String) {
        let service = conflict.frontend.servicePort.service
        let note =
            conflict.owner.name == service
            ? "\(conflict.frontend.key) is wanted by several ports of the Service; the first of them has it"
            : "\(conflict.frontend.key) belongs to Service \(conflict.owner.name), which is older"
        self.init(about: .service(service, uid: uid), reason: "FrontendConflict", action: "Program", note: note)
    }
}

extension ServicePortName {
    public var service: ObjectName { ObjectName(namespace: namespace, name: name) }
}
