import JSON
import Synchronization

/// The resources that a server serves; custom ones come and go.
final class ResourceRegistry: Sendable {
    private let types: Mutex<[ResourceType]>

    init(_ types: [ResourceType]) {
        self.types = Mutex(types)
    }

    var all: [ResourceType] { types.withLock { $0 } }

    func add(_ type: ResourceType) {
        types.withLock { types in
            types.removeAll { $0.group == type.group && $0.version == type.version && $0.plural == type.plural }
            types.append(type)
        }
    }

    func remove(_ type: ResourceType) {
        types.withLock { $0.removeAll { $0 == type } }
    }

    func contains(_ type: ResourceType) -> Bool { types.withLock { $0.contains(type) } }

    /// What a path names; throws what a server answers for one that names nothing.
    func find(_ path: ResourcePath) throws(APIError) -> ResourceType {
        let served = all.filter { $0.group == path.group && $0.version == path.version }
        guard !served.isEmpty else { throw .noPath }
        guard let type = served.first(where: { $0.plural == path.plural }),
            type.isNamespaced || path.namespace == nil,
            !type.isNamespaced || path.namespace != nil || path.name == nil
        else {
            throw .noResource
        }
        return type
    }

    func find(apiVersion: String, kind: String) -> ResourceType? {
        all.first { $0.apiVersion == apiVersion && $0.kind == kind }
    }
}

extension ResourceType {
    /// The resources that a CustomResourceDefinition defines, one for each version that is served.
    static func defined(by definition: JSONObject) -> [ResourceType] {
        guard let spec = definition["spec"]?.object, let group = spec["group"]?.text,
            let names = spec["names"]?.object, let plural = names["plural"]?.text, let kind = names["kind"]?.text
        else { return [] }
        return (spec["versions"]?.array ?? []).compactMap { version in
            guard let version = version.object, version["served"] == true, let name = version["name"]?.text else {
                return nil
            }
            return ResourceType(
                group: group,
                version: name,
                plural: plural,
                singular: names["singular"]?.text,
                kind: kind,
                isNamespaced: spec["scope"] == "Namespaced",
                shortNames: names["shortNames"]?.array?.compactMap(\.text) ?? [],
                hasStatus: version["subresources"]?.object?["status"] != nil,
                isCustom: true
            )
        }
    }
}
