extension JSONValue {
    /// The value as YAML: objects and arrays of objects over lines, everything else as JSON, which is YAML too and
    /// leaves no doubt about what is a string. Ends with a newline.
    public var yaml: String { yaml(margin: "") }

    private func yaml(margin: String) -> String {
        switch self {
        case .object(let object) where !object.isEmpty:
            return object.members.map { member in
                let head = "\(margin)\(member.key):"
                guard member.value.takesLines else { return "\(head) \(member.value.text())\n" }
                // The dash of an array sets it off enough.
                let isArray = if case .array = member.value { true } else { false }
                return "\(head)\n" + member.value.yaml(margin: isArray ? margin : margin + "  ")
            }.joined()
        case .array(let elements) where takesLines:
            return elements.map { element in
                // The first line of an element stands behind its dash.
                let lines = element.yaml(margin: margin + "  ")
                return "\(margin)- \(lines.dropFirst(margin.count + 2))"
            }.joined()
        default: return "\(margin)\(text())\n"
        }
    }

    private var takesLines: Bool {
        switch self {
        case .object(let object): !object.isEmpty
        case .array(let elements): elements.contains { $0.takesLines }
        default: false
        }
    }
}
