import JSON

/// Strategic merge patch: as JSON merge patch, but some lists are merged by a key of their elements.
struct StrategicMerge {
    private let keys: [String: String]

    init(_ type: ResourceType) {
        // `patchMergeKey` of the published API, for the kinds that are served; a list that is not here is replaced.
        switch type {
        case .services: keys = ["ports": "port", "conditions": "type"]
        case .pods:
            keys = [
                "conditions": "type", "podIPs": "ip", "hostIPs": "ip", "containers": "name", "initContainers": "name",
                "env": "name", "volumes": "name", "volumeMounts": "mountPath", "imagePullSecrets": "name",
                "hostAliases": "ip", "ports": "containerPort", "ownerReferences": "uid",
            ]
        case .nodes: keys = ["conditions": "type", "addresses": "type", "ownerReferences": "uid"]
        case .namespaces, .serviceCIDRs: keys = ["conditions": "type", "ownerReferences": "uid"]
        default: keys = ["ownerReferences": "uid"]
        }
    }

    func merge(_ patch: JSONObject, into object: JSONObject) -> JSONObject {
        var object = object
        if patch["$patch"] == "replace" {
            var replacement = patch
            replacement["$patch"] = nil
            return replacement
        }
        for member in patch.members {
            if let list = member.key.suffix(behind: "$deleteFromPrimitiveList/") {
                let gone = member.value.array ?? []
                object[list] = object[list]?.array.map { .array($0.filter { !gone.contains($0) }) }
                continue
            }
            // The other directives only order lists, or matter to unions.
            if member.key.hasPrefix("$") { continue }
            switch (member.value, object[member.key]) {
            case (.null, _): object[member.key] = nil
            case (.object(let inner), let old):
                if inner["$patch"] == "delete" {
                    object[member.key] = nil
                } else {
                    object[member.key] = .object(merge(inner, into: old?.object ?? JSONObject()))
                }
            case (.array(let elements), let old):
                object[member.key] = .array(list(member.key, elements, old?.array ?? []))
            case (let value, _): object[member.key] = value
            }
        }
        return object
    }

    private func list(_ name: String, _ elements: [JSONValue], _ old: [JSONValue]) -> [JSONValue] {
        if name == "finalizers" { return old + elements.filter { !old.contains($0) } }
        guard let key = keys[name] else { return elements }
        if elements.contains(where: { $0.object?["$patch"] == "replace" }) {
            return elements.filter { $0.object?["$patch"] == nil }
        }
        var result = old
        // What is new comes first, in the order of the patch.
        var new: [JSONValue] = []
        for element in elements {
            guard let element = element.object else { continue }
            let place = result.firstIndex { $0.object?[key] == element[key] }
            if element["$patch"] == "delete" {
                if let place { result.remove(at: place) }
            } else if let place {
                result[place] = .object(merge(element, into: result[place].object ?? JSONObject()))
            } else {
                new.append(.object(merge(element, into: JSONObject())))
            }
        }
        return new + result
    }
}

extension String {
    fileprivate func suffix(behind prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
