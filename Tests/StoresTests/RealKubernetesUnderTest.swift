import ClusterClient
import Foundation
import KubernetesClient
import KubernetesStore
import Logging
import TestAPIServer
import TestSupport

/// The store over a real kube-apiserver, emptied for each test. There is one server, so that only one test at a time can
/// have it (`swift test --no-parallel`).
struct RealKubernetesUnderTest: Sendable {
    private static let start = Task { try await Self.startServer() }
    private static let calico = "/apis/crd.projectcalico.org/v1"

    private let server: KubeAPIServer

    init() async throws {
        server = try await Self.start.value
        let pods = "/api/v1/namespaces/shop/pods"
        for type in ResourceType.calico { try await server.request("DELETE", "\(Self.calico)/\(type.plural)") }
        try await server.request("DELETE", "\(pods)?gracePeriodSeconds=0")
        // Attachments are recorded at it.
        try await server.request(
            "POST",
            pods,
            #"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "cart"},
             "spec": {"nodeName": "node-a", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
    }

    func store() throws -> KubernetesDatastore {
        let directory = try TemporaryDirectory()
        let kubeconfig = directory.path + "/kubeconfig"
        try server.writeKubeconfig(to: kubeconfig, token: server.administratorToken)
        let configuration = try KubernetesConfiguration.load(kubeconfig: kubeconfig, master: nil, environment: [:])
        return KubernetesDatastore(
            client: try KubernetesClient(
                configuration,
                userAgent: "test/1",
                rateLimit: nil,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            ),
            api: .customResources,
            node: nil
        )
    }

    /// With Calico's kinds, which take any member here: what tests of all stores write is no real record. Whether the
    /// definitions of an installation fit what programs write is for tests of those.
    private static func startServer() async throws -> KubeAPIServer {
        let server = try await KubeAPIServer()
        for type in ResourceType.calico {
            try await server.request(
                "POST",
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                """
                {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                 "metadata": {"name": "\(type.plural).crd.projectcalico.org"},
                 "spec": {
                   "group": "crd.projectcalico.org", "scope": "Cluster",
                   "names": {"plural": "\(type.plural)", "kind": "\(type.kind)"},
                   "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                     "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}
                """
            )
        }
        for type in ResourceType.calico {
            let deadline = ContinuousClock.now + .seconds(30)
            while (try? await server.request("GET", "\(calico)/\(type.plural)")) == nil {
                guard ContinuousClock.now < deadline else {
                    throw KubeAPIServer.Failure(description: "\(type.plural) are not served")
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        try await server.request(
            "POST",
            "/api/v1/namespaces",
            #"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}"#
        )
        return server
    }
}
