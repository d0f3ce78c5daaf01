import KubernetesAPI

/// What one document of a manifest holds: an object, a list of objects, or something that is for others.
struct ManifestDocument: Decodable {
    var objects: [KubernetesObject] = []
    /// The kinds that were passed over, as `apps/v1 Deployment`.
    var ignored: Set<String> = []

    private enum CodingKeys: String, CodingKey { case apiVersion, kind, items }

    init(from decoder: any Decoder) throws {
        try read(decoder, itemsOf: nil)
    }

    /// - Parameter itemsOf: the kind of the items of a typed list, which do not repeat it.
    private mutating func read(_ decoder: any Decoder, itemsOf listKind: ObjectKind?) throws {
        // An empty document, as between two separators.
        if let value = try? decoder.singleValueContainer(), value.decodeNil() { return }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let listKind, !container.contains(.kind) {
            return try objects.append(Self.object(listKind, decoder))
        }
        let version = try container.decode(String.self, forKey: .apiVersion)
        let kind = try container.decode(String.self, forKey: .kind)
        if let known = ObjectKind(rawValue: kind), known.apiVersion == version {
            try objects.append(Self.object(known, decoder))
        } else if version == "v1", kind == "List" {
            try readItems(container, of: nil)
        } else if let known = ObjectKind.allCases.first(where: { $0.rawValue + "List" == kind }),
            known.apiVersion == version
        {
            try readItems(container, of: known)
        } else {
            ignored.insert("\(version) \(kind)")
        }
    }

    private mutating func readItems(
        _ container: KeyedDecodingContainer<CodingKeys>,
        of kind: ObjectKind?
    ) throws {
        guard container.contains(.items), try !container.decodeNil(forKey: .items) else { return }
        var items = try container.nestedUnkeyedContainer(forKey: .items)
        while !items.isAtEnd {
            try read(items.superDecoder(), itemsOf: kind)
        }
    }

    private static func object(_ kind: ObjectKind, _ decoder: any Decoder) throws -> KubernetesObject {
        var object = try KubernetesObject(kind, from: decoder)
        if kind.isNamespaced {
            if object.metadata.namespace.isEmpty { object.metadata.namespace = "default" }
        } else {
            object.metadata.namespace = ""
        }
        if let fault = FieldError(faultIn: object) {
            let path = decoder.codingPath + fault.components.map(Step.init)
            throw DecodingError.dataCorrupted(.init(codingPath: path, debugDescription: fault.reason))
        }
        return object
    }

    /// A step of a path that is built here and not by the decoder.
    private struct Step: CodingKey {
        let stringValue: String
        let intValue: Int?

        init(_ component: FieldError.Component) {
            switch component {
            case .key(let key): (stringValue, intValue) = (key, nil)
            case .index(let index): (stringValue, intValue) = ("\(index)", index)
            }
        }

        init?(stringValue: String) {
            self.init(.key(stringValue))
        }

        init?(intValue: Int) {
            self.init(.index(intValue))
        }
    }
}
