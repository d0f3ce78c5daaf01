import KubernetesAPI

/// What an API server would not have let in, and nobody after us expects.
struct ManifestFault {
    let path: [any CodingKey]
    let reason: String

    /// `nil` for an object that is as it should be.
    init?(in object: KubernetesObject) {
        let metadata = object.metadata
        if object.kind.isNamespaced, let reason = Self.reason(label: metadata.namespace) {
            self.init(["metadata", "namespace"], reason)
        } else if let reason = object.kind == .service || object.kind == .endpoints
            ? Self.reason(label: metadata.name) : Self.reason(subdomain: metadata.name)
        {
            self.init(["metadata", "name"], reason)
        } else if case .service(let service) = object {
            self.init(in: service)
        } else {
            return nil
        }
    }

    private init?(in service: Service) {
        var names: Set<String> = []
        for (index, port) in service.ports.enumerated() {
            let path: [Step] = ["spec", "ports", Step(index), "name"]
            if service.ports.count > 1, port.name.isEmpty {
                self.init(path, "is missing; each of several ports needs a name")
                return
            }
            if !port.name.isEmpty, let reason = Self.reason(label: port.name) {
                self.init(path, reason)
                return
            }
            guard names.insert(port.name).inserted else {
                self.init(path, "\"\(port.name)\" is the name of another port of the Service")
                return
            }
        }
        return nil
    }

    private init(_ path: [Step], _ reason: String) {
        self.path = path
        self.reason = reason
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

    private struct Step: CodingKey, ExpressibleByStringLiteral {
        let stringValue: String
        let intValue: Int?

        init(_ index: Int) {
            stringValue = "\(index)"
            intValue = index
        }

        init(stringLiteral value: String) {
            stringValue = value
            intValue = nil
        }

        init?(stringValue: String) {
            self.init(stringLiteral: stringValue)
        }

        init?(intValue: Int) {
            self.init(intValue)
        }
    }
}
