import ClusterClient
import FoundationEssentials
import KubernetesClient
import KubernetesSource
import KubernetesWire
import Logging
import Manifests
import ServiceProxy
import Version

extension ProxyConfiguration {
    /// The source that was asked for.
    ///
    /// - Throws: `ConfigurationError` or `KubernetesError` when what leads to the API server cannot be used.
    func makeObjectSource(logger: Logger) throws -> any ObjectSource {
        switch source {
        case .manifests(let directory): ManifestDirectory(path: directory, logger: logger)
        case .api(let connection): try connection.makeSource(nodeName: nodeName, logger: logger)
        }
    }
}

extension ProxyConfiguration.APIConnection {
    fileprivate func makeSource(nodeName: String, logger: Logger) throws -> KubernetesSource {
        // As in kube-proxy, what kubectl would use does not count (2.12): only what a pod is given.
        let environment = ProcessInfo.processInfo.environment.filter { $0.key.hasPrefix("KUBERNETES_") }
        let configuration = try KubernetesConfiguration.load(
            kubeconfig: kubeconfig,
            master: master,
            environment: environment
        )
        let client = try KubernetesClient(
            configuration,
            userAgent: "swiftlet-proxy/\(swiftletVersion)",
            rateLimit: qps < 0 ? nil : RateLimit(qps: qps, burst: burst),
            logger: logger
        )
        var settings = KubernetesSource.Settings()
        settings.encoding = prefersProtobuf ? .protobuf : .json
        return KubernetesSource(
            client,
            WatchedResource.proxy(node: nodeName),
            snapshot: snapshot.map { SnapshotFile(path: $0, of: configuration) },
            settings: settings,
            logger: logger
        )
    }
}
