import ClusterClient
import FoundationEssentials
import KubernetesClient
import KubernetesSource
import KubernetesWire
import Logging
import Manifests
import ServiceProxy
import Version

/// Where objects come from, and where events go.
struct ClusterAccess {
    let source: any ObjectSource
    /// `nil` without an API server.
    let client: KubernetesClient?
    /// Counts what the API server is asked.
    let requests: RequestMetrics
}

extension ProxyConfiguration {
    /// The source that was asked for.
    ///
    /// - Throws: `ConfigurationError` or `KubernetesError` when what leads to the API server cannot be used.
    func makeClusterAccess(logger: Logger) throws -> ClusterAccess {
        let requests = RequestMetrics()
        switch source {
        case .manifests(let directory):
            let source = ManifestDirectory(path: directory, logger: logger)
            return ClusterAccess(source: source, client: nil, requests: requests)
        case .api(let connection):
            let client = try connection.makeClient(requests, logger: logger)
            return ClusterAccess(
                source: connection.makeSource(client, nodeName: nodeName, logger: logger),
                client: client,
                requests: requests
            )
        }
    }
}

extension ProxyConfiguration.APIConnection {
    fileprivate func makeClient(_ requests: RequestMetrics, logger: Logger) throws -> KubernetesClient {
        // As in kube-proxy, what kubectl would use does not count (2.12): only what a pod is given.
        let environment = ProcessInfo.processInfo.environment.filter { $0.key.hasPrefix("KUBERNETES_") }
        let configuration = try KubernetesConfiguration.load(
            kubeconfig: kubeconfig,
            master: master,
            environment: environment
        )
        return try KubernetesClient(
            configuration,
            userAgent: "swiftlet-proxy/\(swiftletVersion)",
            rateLimit: qps < 0 ? nil : RateLimit(qps: qps, burst: burst),
            observe: { requests.observe(method: $0.method, host: $0.host, code: $0.code, $0.duration) },
            logger: logger
        )
    }

    fileprivate func makeSource(_ client: KubernetesClient, nodeName: String, logger: Logger) -> KubernetesSource {
        var settings = KubernetesSource.Settings()
        settings.encoding = prefersProtobuf ? .protobuf : .json
        return KubernetesSource(
            client,
            WatchedResource.proxy(node: nodeName),
            snapshot: snapshot.map { SnapshotFile(path: $0, of: client.configuration) },
            settings: settings,
            logger: logger
        )
    }
}
