import IPAM
import JSON
import NetworkTypes

// `ipam show --ip`: who has an address (7.2 c).

extension AddressReport {
    /// Whether somebody has the address.
    public var isAssigned: Bool {
        if case .assigned = state { true } else { false }
    }

    /// Lines as calicoctl prints them; attributes are sorted by name.
    ///
    /// - Parameter form: a wide one tells also in which pool and block the address is. So does every form where that is
    ///   not as usual, which calicoctl does not see.
    public func text(_ form: TableForm = .narrow) -> String {
        switch state {
        case .notAssigned: "\(address) is not assigned\n" + place(form)
        case .reserved: "\(address) is not assigned; it is reserved\n" + place(form)
        case .coolingDown(let since):
            "\(address) is not assigned; it has been cooling down since \(since)\n" + place(form)
        case .assigned(let assignment): Self.text(address, assignment) + place(form)
        }
    }

    private static func text(_ address: IPAddress, _ assignment: AddressAssignment) -> String {
        func lines(_ attributes: [String: String]) -> [String] {
            attributes.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
        }
        var text = ["IP \(address) is in use", "Handle ID: \(assignment.handle ?? "<none>")"]
        if assignment.attributes.isEmpty {
            text.append("No Active Owner attributes defined")
        } else {
            text.append("Active Owner Attributes:")
            text += lines(assignment.attributes)
        }
        if !assignment.alternateOwner.isEmpty {
            text.append("Alternate Owner Attributes:")
            text += lines(assignment.alternateOwner)
        }
        return text.map { $0 + "\n" }.joined()
    }

    private func place(_ form: TableForm) -> String {
        var lines: [String] = []
        if let pool {
            if form == .wide || (isAssigned && poolIsDisabled) {
                lines.append("IP Pool: \(pool)" + (poolIsDisabled ? ", which is disabled" : ""))
            }
        } else if form == .wide || isAssigned {
            lines.append(block == nil ? "IP Pool: <none>" : "IP Pool: <none>, so that its block is an orphan")
        }
        if form == .wide {
            lines.append("Block: \(block.map { "\($0)" } ?? "<none>")")
            lines.append("Block Owner: \(affinity?.description ?? "<none>")")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// `handle` is null and `attributes` is empty for an address that nobody has; `state` tells why.
    public func json() -> String {
        let assignment: AddressAssignment? = if case .assigned(let assignment) = state { assignment } else { nil }
        var report = JSONObject([
            ("ip", .string("\(address)")), ("handle", .optional(assignment?.handle)),
            ("attributes", .sorted(assignment?.attributes ?? [:])),
        ])
        if let assignment, !assignment.alternateOwner.isEmpty {
            report["alternateOwner"] = .sorted(assignment.alternateOwner)
        }
        switch state {
        case .assigned: report["state"] = "assigned"
        case .reserved: report["state"] = "reserved"
        case .notAssigned: report["state"] = "notAssigned"
        case .coolingDown(let since):
            report["state"] = "coolingDown"
            report["releasedAt"] = .string("\(since)")
        }
        report["pool"] = .optional(pool)
        report["block"] = .optional(block.map { "\($0)" })
        report["affinity"] = .optional(affinity?.description)
        return JSONValue.object(report).report
    }

    /// The same in one row.
    public func csv() -> String {
        var cells = [
            "\(address)", "", "", "", "", "", pool ?? "", block.map { "\($0)" } ?? "", affinity?.description ?? "",
        ]
        switch state {
        case .assigned(let assignment):
            cells[1] = "assigned"
            cells[2] = assignment.handle ?? ""
            cells[3] = assignment.attributes["node"] ?? ""
            cells[4] = assignment.attributes["namespace"] ?? ""
            cells[5] = assignment.attributes["pod"] ?? ""
        case .coolingDown: cells[1] = "coolingDown"
        case .reserved: cells[1] = "reserved"
        case .notAssigned: cells[1] = "notAssigned"
        }
        let titles = ["IP", "STATE", "HANDLE", "NODE", "NAMESPACE", "POD", "POOL", "BLOCK", "BLOCK OWNER"]
        return commaSeparated([titles, cells])
    }
}
