import JSON
import KubernetesAPI

/// The table that `kubectl get` prints.
enum Table {
    /// - Parameter type: for a list that may be empty.
    static func table(
        _ objects: [StoredObject],
        _ metadata: JSONObject,
        now: Timestamp,
        of type: ResourceType? = nil
    ) -> JSONObject {
        let type = type ?? objects.first?.type ?? .services
        var metadata = metadata
        if metadata["resourceVersion"] == nil, let object = objects.first {
            metadata["resourceVersion"] = .string(String(object.resourceVersion))
        }
        return JSONObject([
            ("kind", "Table"), ("apiVersion", "meta.k8s.io/v1"), ("metadata", .object(metadata)),
            ("columnDefinitions", .array(columns(type).map(definition))),
            (
                "rows",
                .array(objects.map { ["cells": .array(cells($0, now)), "object": .object($0.metadataOnly)] })
            ),
        ])
    }

    private static func columns(_ type: ResourceType) -> [String] {
        switch type {
        case .services: ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]
        case .endpointSlices: ["Name", "AddressType", "Ports", "Endpoints", "Age"]
        case .endpoints: ["Name", "Endpoints", "Age"]
        default: ["Name", "Age"]
        }
    }

    private static func definition(_ name: String) -> JSONValue {
        [
            "name": .string(name), "type": "string", "format": name == "Name" ? "name" : "",
            "description": .string(name), "priority": name == "Selector" ? 1 : 0,
        ]
    }

    private static func cells(_ object: StoredObject, _ now: Timestamp) -> [JSONValue] {
        let tree = object.tree
        let age = age(tree["metadata"]?.object?["creationTimestamp"]?.text, now)
        let cells: [String]
        switch object.type {
        case .services: cells = service(tree["spec"]?.object ?? JSONObject(), tree["status"]?.object, age)
        case .endpointSlices: cells = slice(tree) + [age]
        case .endpoints: cells = [joined(subsetAddresses(tree)), age]
        default: cells = [age]
        }
        return [.string(object.id.name)] + cells.map { .string($0) }
    }

    private static func service(_ spec: JSONObject, _ status: JSONObject?, _ age: String) -> [String] {
        let ports = (spec["ports"]?.array ?? []).compactMap(\.object).map { port in
            let node = port["nodePort"]?.integer.map { ":\($0)" } ?? ""
            return "\(port["port"]?.integer ?? 0)\(node)/\(port["protocol"]?.text ?? "TCP")"
        }
        let ingress = status?["loadBalancer"]?.object?["ingress"]?.array ?? []
        var external =
            (spec["externalIPs"]?.array ?? []).compactMap(\.text)
            + ingress.compactMap { $0.object?["ip"]?.text ?? $0.object?["hostname"]?.text }
        if external.isEmpty, spec["type"] == "LoadBalancer" { external = ["<pending>"] }
        if spec["type"] == "ExternalName", let name = spec["externalName"]?.text { external = [name] }
        let selector = (spec["selector"]?.object?.members ?? []).map { "\($0.key)=\($0.value.text ?? "")" }
        return [
            spec["type"]?.text ?? "ClusterIP", spec["clusterIP"]?.text ?? "<none>", joined(external, ","),
            joined(ports, ","), age, joined(selector, ","),
        ]
    }

    private static func slice(_ tree: JSONObject) -> [String] {
        let ports = (tree["ports"]?.array ?? []).map { $0.object?["port"]?.integer.map { "\($0)" } ?? "*" }
        let addresses = (tree["endpoints"]?.array ?? []).flatMap {
            ($0.object?["addresses"]?.array ?? []).compactMap(\.text)
        }
        return [tree["addressType"]?.text ?? "", ports.isEmpty ? "<unset>" : joined(ports, ","), joined(addresses)]
    }

    private static func subsetAddresses(_ tree: JSONObject) -> [String] {
        (tree["subsets"]?.array ?? []).compactMap(\.object).flatMap { subset -> [String] in
            let addresses = (subset["addresses"]?.array ?? []).compactMap { $0.object?["ip"]?.text }
            let ports = (subset["ports"]?.array ?? []).compactMap { $0.object?["port"]?.integer }
            return ports.isEmpty ? addresses : ports.flatMap { port in addresses.map { "\($0):\(port)" } }
        }
    }

    /// The first three, and how many more.
    private static func joined(_ words: [String]) -> String {
        if words.isEmpty { return "<unset>" }
        let more = words.count > 3 ? " + \(words.count - 3) more..." : ""
        return words.prefix(3).joined(separator: ",") + more
    }

    private static func joined(_ words: [String], _ separator: String) -> String {
        words.isEmpty ? "<none>" : words.joined(separator: separator)
    }

    private static func age(_ text: String?, _ now: Timestamp) -> String {
        guard let text, let time = Timestamp(text) else { return "<unknown>" }
        let seconds = max(0, now.seconds - time.seconds)
        switch seconds {
        case ..<120: return "\(seconds)s"
        case ..<7200: return "\(seconds / 60)m"
        case ..<172_800: return "\(seconds / 3600)h"
        default: return "\(seconds / 86400)d"
        }
    }
}
