import JSON

/// How a kind of objects is written as protobuf: the fields of the published API (`k8s.io/api/*/generated.proto`).
///
/// Services, slices and Endpoints are complete; of Nodes, Pods and the rest the fields that a network agent may read.
/// The server has its own table, so that a mistake in the client's messages does not cancel out.
struct ProtobufSchema: Sendable {
    indirect enum Kind: Sendable {
        case string, integer, boolean
        /// RFC 3339 text as a `Time` or `MicroTime`.
        case time
        /// A quantity, a message with its text.
        case quantity
        case intOrString
        /// A map from strings to these.
        case map(Kind)
        /// JSON of any shape as raw bytes, in a message.
        case raw
        case message(ProtobufSchema)
    }

    struct Field: Sendable {
        let number: Int
        let name: String
        let kind: Kind
        /// Whether an absent field is written with its zero value, as Go writes whatever is not a pointer.
        let isAlways: Bool

        /// A field that is written only when the object has it.
        static func some(_ number: Int, _ name: String, _ kind: Kind) -> Field {
            Field(number: number, name: name, kind: kind, isAlways: false)
        }

        static func always(_ number: Int, _ name: String, _ kind: Kind) -> Field {
            Field(number: number, name: name, kind: kind, isAlways: true)
        }
    }

    /// By number.
    let fields: [Field]
    /// Whether the published API has no other fields.
    var isComplete = true

    init(_ fields: [Field], isComplete: Bool = true) {
        self.fields = fields
        self.isComplete = isComplete
    }

    static func of(_ type: ResourceType) -> ProtobufSchema? {
        guard !type.isCustom else { return nil }
        switch type.qualifiedName {
        case "services": return .service
        case "endpoints": return .endpoints
        case "endpointslices.discovery.k8s.io": return .endpointSlice
        case "nodes": return .node
        case "pods": return .pod
        case "namespaces": return .namespace
        case "servicecidrs.networking.k8s.io": return .serviceCIDR
        default: return nil
        }
    }
}

extension ProtobufSchema {
    static let ownerReference = ProtobufSchema([
        .always(1, "kind", .string), .always(3, "name", .string), .always(4, "uid", .string),
        .always(5, "apiVersion", .string), .some(6, "controller", .boolean), .some(7, "blockOwnerDeletion", .boolean),
    ])
    static let managedFieldsEntry = ProtobufSchema([
        .always(1, "manager", .string), .always(2, "operation", .string), .always(3, "apiVersion", .string),
        .some(4, "time", .time), .always(6, "fieldsType", .string), .some(7, "fieldsV1", .raw),
        .always(8, "subresource", .string),
    ])
    static let objectMeta = ProtobufSchema([
        .always(1, "name", .string), .always(2, "generateName", .string), .always(3, "namespace", .string),
        .always(4, "selfLink", .string), .always(5, "uid", .string), .always(6, "resourceVersion", .string),
        .always(7, "generation", .integer), .always(8, "creationTimestamp", .time),
        .some(9, "deletionTimestamp", .time), .some(10, "deletionGracePeriodSeconds", .integer),
        .some(11, "labels", .map(.string)), .some(12, "annotations", .map(.string)),
        .some(13, "ownerReferences", .message(ownerReference)), .some(14, "finalizers", .string),
        .some(17, "managedFields", .message(managedFieldsEntry)),
    ])
    static let listMeta = ProtobufSchema([
        .always(1, "selfLink", .string), .always(2, "resourceVersion", .string), .always(3, "continue", .string),
        .some(4, "remainingItemCount", .integer),
    ])
    static let status = ProtobufSchema([
        .always(1, "metadata", .message(listMeta)), .always(2, "status", .string), .always(3, "message", .string),
        .always(4, "reason", .string), .some(5, "details", .message(statusDetails)), .always(6, "code", .integer),
    ])
    static let statusDetails = ProtobufSchema([
        .always(1, "name", .string), .always(2, "group", .string), .always(3, "kind", .string),
        .some(4, "causes", .message(statusCause)), .always(5, "retryAfterSeconds", .integer),
        .always(6, "uid", .string),
    ])
    static let statusCause = ProtobufSchema([
        .always(1, "reason", .string), .always(2, "message", .string), .always(3, "field", .string),
    ])
    static let objectReference = ProtobufSchema([
        .always(1, "kind", .string), .always(2, "namespace", .string), .always(3, "name", .string),
        .always(4, "uid", .string), .always(5, "apiVersion", .string), .always(6, "resourceVersion", .string),
        .always(7, "fieldPath", .string),
    ])
    static let condition = ProtobufSchema([
        .always(1, "type", .string), .always(2, "status", .string), .always(3, "observedGeneration", .integer),
        .always(4, "lastTransitionTime", .time), .always(5, "reason", .string), .always(6, "message", .string),
    ])
}

extension ProtobufSchema {
    static let service = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)), .always(2, "spec", .message(serviceSpec)),
        .always(3, "status", .message(serviceStatus)),
    ])
    static let serviceSpec = ProtobufSchema([
        .some(1, "ports", .message(servicePort)), .some(2, "selector", .map(.string)),
        .always(3, "clusterIP", .string), .always(4, "type", .string), .some(5, "externalIPs", .string),
        .always(7, "sessionAffinity", .string), .always(8, "loadBalancerIP", .string),
        .some(9, "loadBalancerSourceRanges", .string), .always(10, "externalName", .string),
        .always(11, "externalTrafficPolicy", .string), .always(12, "healthCheckNodePort", .integer),
        .always(13, "publishNotReadyAddresses", .boolean),
        .some(14, "sessionAffinityConfig", .message(sessionAffinityConfig)), .some(17, "ipFamilyPolicy", .string),
        .some(18, "clusterIPs", .string), .some(19, "ipFamilies", .string),
        .some(20, "allocateLoadBalancerNodePorts", .boolean), .some(21, "loadBalancerClass", .string),
        .some(22, "internalTrafficPolicy", .string), .some(23, "trafficDistribution", .string),
    ])
    static let servicePort = ProtobufSchema([
        .always(1, "name", .string), .always(2, "protocol", .string), .always(3, "port", .integer),
        .always(4, "targetPort", .intOrString), .always(5, "nodePort", .integer), .some(6, "appProtocol", .string),
    ])
    static let sessionAffinityConfig = ProtobufSchema([
        .some(1, "clientIP", .message(ProtobufSchema([.some(1, "timeoutSeconds", .integer)])))
    ])
    static let serviceStatus = ProtobufSchema([
        .always(1, "loadBalancer", .message(ProtobufSchema([.some(1, "ingress", .message(loadBalancerIngress))]))),
        .some(2, "conditions", .message(condition)),
    ])
    static let loadBalancerIngress = ProtobufSchema([
        .always(1, "ip", .string), .always(2, "hostname", .string), .some(3, "ipMode", .string),
        .some(
            4,
            "ports",
            .message(
                ProtobufSchema([
                    .always(1, "port", .integer), .always(2, "protocol", .string), .some(3, "error", .string),
                ])
            )
        ),
    ])

    static let endpointSlice = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)), .some(2, "endpoints", .message(endpoint)),
        .some(3, "ports", .message(endpointSlicePort)), .always(4, "addressType", .string),
    ])
    static let endpoint = ProtobufSchema([
        .some(1, "addresses", .string),
        .always(
            2,
            "conditions",
            .message(
                ProtobufSchema([
                    .some(1, "ready", .boolean), .some(2, "serving", .boolean), .some(3, "terminating", .boolean),
                ])
            )
        ),
        .some(3, "hostname", .string), .some(4, "targetRef", .message(objectReference)),
        .some(5, "deprecatedTopology", .map(.string)), .some(6, "nodeName", .string), .some(7, "zone", .string),
        .some(8, "hints", .message(endpointHints)),
    ])
    static let endpointHints = ProtobufSchema([
        .some(1, "forZones", .message(ProtobufSchema([.always(1, "name", .string)]))),
        .some(2, "forNodes", .message(ProtobufSchema([.always(1, "name", .string)]))),
    ])
    static let endpointSlicePort = ProtobufSchema([
        .some(1, "name", .string), .some(2, "protocol", .string), .some(3, "port", .integer),
        .some(4, "appProtocol", .string),
    ])

    static let endpoints = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)), .some(2, "subsets", .message(endpointSubset)),
    ])
    static let endpointSubset = ProtobufSchema([
        .some(1, "addresses", .message(endpointAddress)), .some(2, "notReadyAddresses", .message(endpointAddress)),
        .some(
            3,
            "ports",
            .message(
                ProtobufSchema([
                    .always(1, "name", .string), .always(2, "port", .integer), .always(3, "protocol", .string),
                    .some(4, "appProtocol", .string),
                ])
            )
        ),
    ])
    static let endpointAddress = ProtobufSchema([
        .always(1, "ip", .string), .some(2, "targetRef", .message(objectReference)), .always(3, "hostname", .string),
        .some(4, "nodeName", .string),
    ])
}

extension ProtobufSchema {
    static let node = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)), .always(2, "spec", .message(nodeSpec)),
        .always(3, "status", .message(nodeStatus)),
    ])
    static let nodeSpec = ProtobufSchema(
        [
            .always(1, "podCIDR", .string), .always(3, "providerID", .string), .always(4, "unschedulable", .boolean),
            .some(5, "taints", .message(taint)), .some(7, "podCIDRs", .string),
        ],
        isComplete: false
    )
    static let taint = ProtobufSchema([
        .always(1, "key", .string), .always(2, "value", .string), .always(3, "effect", .string),
        .some(4, "timeAdded", .time),
    ])
    static let nodeStatus = ProtobufSchema(
        [
            .some(1, "capacity", .map(.quantity)), .some(2, "allocatable", .map(.quantity)),
            .always(3, "phase", .string), .some(4, "conditions", .message(nodeCondition)),
            .some(
                5,
                "addresses",
                .message(ProtobufSchema([.always(1, "type", .string), .always(2, "address", .string)]))
            ),
        ],
        isComplete: false
    )
    static let nodeCondition = ProtobufSchema([
        .always(1, "type", .string), .always(2, "status", .string), .always(3, "lastHeartbeatTime", .time),
        .always(4, "lastTransitionTime", .time), .always(5, "reason", .string), .always(6, "message", .string),
    ])

    static let serviceCIDR = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)),
        .always(2, "spec", .message(ProtobufSchema([.some(1, "cidrs", .string)]))),
        .always(3, "status", .message(ProtobufSchema([.some(1, "conditions", .message(condition))]))),
    ])

    static let namespace = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)),
        .always(2, "spec", .message(ProtobufSchema([.some(1, "finalizers", .string)]))),
        .always(
            3,
            "status",
            .message(ProtobufSchema([.always(1, "phase", .string), .some(2, "conditions", .message(condition))]))
        ),
    ])

    static let pod = ProtobufSchema([
        .always(1, "metadata", .message(objectMeta)),
        .always(
            2,
            "spec",
            .message(
                ProtobufSchema(
                    [.always(10, "nodeName", .string), .always(11, "hostNetwork", .boolean)],
                    isComplete: false
                )
            )
        ),
        .always(
            3,
            "status",
            .message(
                ProtobufSchema(
                    [
                        .always(1, "phase", .string), .always(3, "message", .string), .always(4, "reason", .string),
                        .always(5, "hostIP", .string), .always(6, "podIP", .string),
                        .some(12, "podIPs", .message(ProtobufSchema([.always(1, "ip", .string)]))),
                    ],
                    isComplete: false
                )
            )
        ),
    ])
}
