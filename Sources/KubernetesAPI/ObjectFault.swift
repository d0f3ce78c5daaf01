/// What an API server would not let in, and nobody after us expects.
extension FieldError {
    /// `nil` for an object that is as it should be.
    public init?(faultIn object: KubernetesObject) {
        let metadata = object.metadata
        if object.kind.isNamespaced, let reason = Self.reason(label: metadata.namespace) {
            self.init("metadata", "namespace", reason: reason)
        } else if let reason = object.kind == .service || object.kind == .endpoints
            ? Self.reason(label: metadata.name) : Self.reason(subdomain: metadata.name)
        {
            self.init("metadata", "name", reason: reason)
        } else if case .service(let service) = object {
            self.init(faultIn: service)
        } else {
            return nil
        }
    }

    private init?(faultIn service: Service) {
        var names: Set<String> = []
        for (index, port) in service.ports.enumerated() {
            if service.ports.count > 1, port.name.isEmpty {
                self.init(portName: index, "is missing; each of several ports needs a name")
                return
            }
            if !port.name.isEmpty, let reason = Self.reason(label: port.name) {
                self.init(portName: index, reason)
                return
            }
            guard names.insert(port.name).inserted else {
                self.init(portName: index, "\"\(port.name)\" is the name of another port of the Service")
                return
            }
        }
        return nil
    }

    private init(portName index: Int, _ reason: String) {
        self.init("spec", "ports", .index(index), "name", reason: reason)
    }

    /// Why a text is no label of RFC 1123.
    private static func reason(label: String) -> String? {
        isLabel(label[...]) ? nil : "\"\(label.prefix(300))\" is not a DNS label (a-z, 0-9 and -, up to 63)"
    }

    /// Why a text is no subdomain of RFC 1123.
    private static func reason(subdomain: String) -> String? {
        let labels = subdomain.split(separator: ".", omittingEmptySubsequences: false)
        let isValid = subdomain.utf8.count <= 253 && labels.allSatisfy { isLabel($0, limit: 253) }
        return isValid ? nil : "\"\(subdomain.prefix(300))\" is not a DNS name (a-z, 0-9, - and ., up to 253)"
    }

    private static func isLabel(_ text: Substring, limit: Int = 63) -> Bool {
        let bytes = text.utf8
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard let first = bytes.first, let last = bytes.last, bytes.count <= limit else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }
}
