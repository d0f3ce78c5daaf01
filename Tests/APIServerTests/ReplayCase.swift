import JSON
import TestAPIServer
import Testing

/// A recorded exchange that is replayed against the test server, and how the answers are compared.
struct ReplayCase: Sendable, CustomTestStringConvertible {
    enum Comparison: Sendable {
        case json(JSONDifference)
        /// The very bytes.
        case bytes
        /// Status and headers; what the body holds depends on the server.
        case head
        /// Event by event.
        case watch(JSONDifference)
        /// A list or object in protobuf, field by field.
        case protobuf(isSubset: Bool = false)
        /// Event by event: type and kind of object.
        case protobufWatch
    }

    let name: String
    var comparison: Comparison
    /// What the server has, beside the cluster that was recorded first.
    var setUp: @Sendable (TestAPIServer) async throws -> Void
    /// What happens while a watch is open.
    var meanwhile: (@Sendable (TestAPIServer) async throws -> Void)?
    /// The user whose certificate was sent, when it was not the administrator's.
    var user: User?

    var testDescription: String { name }

    init(
        _ name: String,
        _ comparison: Comparison = .json(JSONDifference()),
        user: User? = nil,
        setUp: @escaping @Sendable (TestAPIServer) async throws -> Void = { _ in },
        meanwhile: (@Sendable (TestAPIServer) async throws -> Void)? = nil
    ) {
        self.name = name
        self.comparison = comparison
        self.user = user
        self.setUp = setUp
        self.meanwhile = meanwhile
    }

    /// A server with the cluster of the first lists.
    func server() async throws -> TestAPIServer {
        let user = user
        let server = try await TestAPIServer.plain {
            $0.customResources = []
            $0.plainUser = user ?? .administrator
        }
        for kind in Self.restored {
            try server.restore(list: String(decoding: try Recordings.body(kind), as: UTF8.self))
        }
        try await setUp(server)
        return server
    }

    private static let restored = [
        "services", "endpointslices", "endpoints", "nodes", "networkpolicies", "namespaces", "pods", "servicecidrs",
        "ipaddresses", "leases",
    ].map { "10-list-\($0)" }
}

extension JSONDifference {
    /// Of a read, everything is compared.
    static let read = JSONDifference()

    /// Of a write, the server chooses addresses, and does not keep book of who set which field.
    static var write: JSONDifference {
        var difference = JSONDifference()
        difference.volatile.formUnion(["clusterIP", "clusterIPs", "deletionTimestamp"])
        difference.ignored = ["managedFields"]
        return difference
    }

    /// The test server has fewer resources, and does not hash how it stores them.
    static var discovery: JSONDifference {
        var difference = JSONDifference()
        difference.ignored = ["storageVersionHash", "categories"]
        difference.partialLists = [
            "groups": "name", "resources": "name", "items": "metadata", "subresources": "subresource",
        ]
        return difference
    }

    static var aggregatedDiscovery: JSONDifference {
        var difference = discovery
        difference.partialLists["resources"] = "resource"
        return difference
    }

    static func ignoring(_ members: String...) -> JSONDifference {
        var difference = write
        difference.ignored.formUnion(members)
        return difference
    }
}

extension TestAPIServer {
    /// Puts an object that was recorded as the body of a response, as it was.
    func restore(recorded name: String, _ change: (inout JSONObject) -> Void = { _ in }) throws {
        guard case .object(var object) = try JSONValue(try Recordings.body(name)) else {
            throw Connection.Failure(description: "\(name) is no object")
        }
        change(&object)
        let value = JSONValue.object(object)
        let list: JSONValue = [
            "kind": .string("\(value["kind"]?.string ?? "")List"), "apiVersion": value["apiVersion"] ?? .null,
            "metadata": ["resourceVersion": value["metadata.resourceVersion"] ?? .null], "items": [value],
        ]
        try restore(list: list.text())
    }

    /// Makes the custom resource of the recordings.
    func definePools() async throws {
        let request = try Recordings.exchange("50-crd-create").request
        let body = HTTPResponse.body(ofRequest: request)
        let response = try await exchange(
            "POST",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            String(decoding: body, as: UTF8.self)
        )
        #expect(response.status == 201)
    }

    /// Creates, changes twice and deletes a Service in the namespace `rec`, as during the recording of watches.
    func cycleService() async throws {
        let services = "/api/v1/namespaces/rec/services"
        func service(_ more: String, _ ports: String = "") -> String {
            """
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"w1","labels":{"lab":"rec"}\(more)},"spec":\
            {"selector":{"app":"w1"},"ports":[{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"}\(ports)]}}
            """
        }
        let more = #",{"name":"x","port":81,"protocol":"TCP"}"#
        let annotations = #","annotations":{"a":"b"}"#
        #expect(try await exchange("POST", services, service("")).status == 201)
        #expect(try await exchange("PUT", "\(services)/w1", service("", more)).status == 200)
        #expect(try await exchange("PUT", "\(services)/w1", service(annotations, more)).status == 200)
        #expect(try await exchange("DELETE", "\(services)/w1").status == 200)
    }
}

extension HTTPResponse {
    static func body(ofRequest bytes: [UInt8]) -> [UInt8] {
        bytes.firstRange(of: Array("\r\n\r\n".utf8)).map { Array(bytes[$0.upperBound...]) } ?? []
    }
}
