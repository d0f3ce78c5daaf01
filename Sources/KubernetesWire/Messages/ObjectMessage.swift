import KubernetesAPI
import SwiftProtobuf

/// The form of an object that both encodings are read into, and written from.
protocol ObjectMessage: Message, JSONMessage {
    var metadata: MetaObjectMeta { get }

    /// The value, after every check that does not depend on the encoding.
    func object(_ pool: StringPool) throws(FieldError) -> KubernetesObject
}

extension ObjectMessage {
    /// The value, or why it cannot be used.
    func decoded(_ kind: ObjectKind, _ pool: StringPool) -> Decoded {
        do throws(FieldError) {
            var object = try object(pool)
            if !kind.isNamespaced { object.metadata.namespace = "" }
            guard let fault = FieldError(faultIn: object) else { return .object(object) }
            throw fault
        } catch {
            return .skipped(PartialMeta(metadata).skipped(kind, error))
        }
    }
}

/// What has to be known of an object even if it cannot be used.
struct PartialMeta: Hashable {
    var name = ""
    var namespace = ""
    var resourceVersion = ""
    var types = TypeNames()

    init() {}

    init(_ metadata: MetaObjectMeta) {
        name = metadata.name
        namespace = metadata.namespace
        resourceVersion = metadata.resourceVersion
    }

    /// The longest name that an object can have is 253 bytes.
    private static let nameLimit = 1024

    /// `nil` without a name, and for one that nothing on earth has.
    func key(_ kind: ObjectKind) -> ObjectKey? {
        guard !name.isEmpty, name.utf8.count <= Self.nameLimit, namespace.utf8.count <= Self.nameLimit,
            !kind.isNamespaced || !namespace.isEmpty
        else { return nil }
        return ObjectKey(kind, ObjectName(namespace: kind.isNamespaced ? namespace : "", name: name))
    }

    func skipped(_ kind: ObjectKind, _ reason: FieldError) -> SkippedObject {
        SkippedObject(
            key: key(kind),
            resourceVersion: resourceVersion.utf8.count <= Self.nameLimit ? resourceVersion : "",
            reason: reason
        )
    }
}

/// Applies a rule to a field, and says at which one it is broken.
func obeying<Value>(
    _ path: @autoclosure () -> [FieldError.Component],
    _ value: @autoclosure () throws(FieldRule.Violation) -> Value
) throws(FieldError) -> Value {
    do {
        return try value()
    } catch {
        throw FieldError(components: path(), reason: error.reason)
    }
}

extension KubernetesObject {
    var message: any ObjectMessage {
        switch self {
        case .service(let service): CoreService(service)
        case .endpointSlice(let slice): DiscoveryEndpointSlice(slice)
        case .endpoints(let endpoints): CoreEndpoints(endpoints)
        case .node(let node): CoreNode(node)
        case .serviceCIDR(let serviceCIDR): NetworkingServiceCIDR(serviceCIDR)
        }
    }
}
