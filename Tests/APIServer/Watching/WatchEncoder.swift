import JSON

/// Writes the events of a watch.
struct WatchEncoder: Sendable {
    let type: ResourceType
    let representation: Representation

    func event(_ name: String, _ object: StoredObject) -> [UInt8] {
        switch representation.form {
        case .table: return frame(name, .object(Table.table([object], JSONObject(), now: .now)))
        case .metadata: return frame(name, .object(object.metadataOnly))
        default: break
        }
        if representation.encoding == .protobuf, let message = object.protobuf {
            return ProtobufWriter.watchFrame(
                name,
                ProtobufWriter.envelope(message, apiVersion: type.apiVersion, kind: type.kind)
            )
        }
        return Array("{\"type\":\"\(name)\",\"object\":".utf8) + object.json + Array("}\n".utf8)
    }

    func bookmark(_ revision: UInt64, endsInitialEvents: Bool = false) -> [UInt8] {
        var metadata = JSONObject([("resourceVersion", .string(String(revision)))])
        if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        var object = JSONObject([
            ("kind", .string(type.kind)), ("apiVersion", .string(type.apiVersion)), ("metadata", .object(metadata)),
        ])
        switch representation.form {
        case .table:
            var table = Table.table([], metadata, now: .now, of: type)
            table["rows"] = [["cells": [], "object": .object(object)]]
            return frame("BOOKMARK", .object(table))
        case .metadata:
            object["kind"] = "PartialObjectMetadata"
            object["apiVersion"] = "meta.k8s.io/v1"
            return frame("BOOKMARK", .object(object))
        default: break
        }
        if representation.encoding == .protobuf, let schema = ProtobufSchema.of(type) {
            return ProtobufWriter.watchFrame(
                "BOOKMARK",
                ProtobufWriter.envelope(
                    ProtobufWriter.message(object, schema),
                    apiVersion: type.apiVersion,
                    kind: type.kind
                )
            )
        }
        // What Go writes of an object that has nothing but metadata.
        var text = JSONValue.object(object).text()
        switch type {
        case .services: text = text.dropLast() + #","spec":{},"status":{"loadBalancer":{}}}"#
        case .endpointSlices: text = text.dropLast() + #","addressType":"","endpoints":null,"ports":null}"#
        case .pods: text = text.dropLast() + #","spec":{"containers":null},"status":{}}"#
        case .nodes:
            text =
                text.dropLast()
                + #","spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"","#
                + #""systemUUID":"","bootID":"","kernelVersion":"","osImage":"","containerRuntimeVersion":"","#
                + #""kubeletVersion":"","kubeProxyVersion":"","operatingSystem":"","architecture":""}}}"#
        default: break
        }
        return Array("{\"type\":\"BOOKMARK\",\"object\":\(text)}\n".utf8)
    }

    func error(_ error: APIError) -> [UInt8] {
        guard representation.encoding == .protobuf else { return frame("ERROR", .object(error.status)) }
        let message = ProtobufWriter.message(error.status, .status)
        return ProtobufWriter.watchFrame(
            "ERROR",
            ProtobufWriter.envelope(message, apiVersion: "v1", kind: "Status")
        )
    }

    private func frame(_ name: String, _ object: JSONValue) -> [UInt8] {
        Array("{\"type\":\"\(name)\",\"object\":\(object.text())}\n".utf8)
    }
}
