import IPAM
import NetworkTypes

// `ipam show --ip`: who has an address (7.2 c).

extension AddressReport {
    /// Whether somebody has the address.
    public var isAssigned: Bool {
        if case .assigned = state { true } else { false }
    }

    /// Lines as calicoctl prints them; attributes are sorted by name.
    public var text: String {
        switch state {
        case .notAssigned: "\(address) is not assigned\n"
        case .reserved: "\(address) is not assigned; it is reserved\n"
        case .coolingDown(let since): "\(address) is not assigned; it has been cooling down since \(since)\n"
        case .assigned(let assignment): Self.text(address, assignment)
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

    /// `handle` is null and `attributes` is empty for an address that nobody has.
    public func json() throws -> String {
        guard case .assigned(let assignment) = state else {
            return try jsonText(JSONAddress(ip: address, handle: JSONNullable(value: nil), attributes: [:]))
        }
        return try jsonText(
            JSONAddress(
                ip: address,
                handle: JSONNullable(value: assignment.handle),
                attributes: assignment.attributes
            )
        )
    }
}

private struct JSONAddress: Encodable {
    let ip: IPAddress
    let handle: JSONNullable<String>
    let attributes: [String: String]
}
