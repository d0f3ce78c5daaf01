import KubernetesClient
import Logging
import ServiceLifecycle
import ServiceProxy
import StatusServers

/// All that operators and load balancers see of the proxy: pages, metrics, health checks, events, and that it follows its
/// configuration file.
struct OperatorServices {
    private let configuration: ProxyConfiguration
    private let pages: StatusPages
    private let healthChecks: HealthCheckPorts
    /// `nil` without an API server: then the log is all there is.
    private let events: APIEvents?
    private let logger: Logger

    init(
        _ configuration: ProxyConfiguration,
        _ running: RunningConfiguration,
        _ access: ClusterAccess,
        _ status: ProxyStatus,
        logger: Logger
    ) {
        self.configuration = configuration
        self.logger = logger
        pages = StatusPages(status: status, running: running, requests: access.requests)
        let events = access.client.map { client in
            let recorder = EventRecorder(
                client: client,
                controller: APIEvents.reporter,
                instance: configuration.nodeName,
                logger: logger
            )
            return APIEvents(recorder, nodeName: configuration.nodeName)
        }
        self.events = events
        healthChecks = HealthCheckPorts(
            isHealthy: { status.isHealthy },
            report: { events?.happened($0) },
            logger: logger,
            listen: HealthCheckPorts.http
        )
    }

    var observers: [any ControllerObserver] {
        let observers: [(any ControllerObserver)?] = [pages.status, healthChecks, events]
        return observers.compactMap(\.self)
    }

    /// - Parameters:
    ///   - file: what the configuration was read from.
    ///   - controller: follows what changes in it.
    ///   - explainer: answers on the local socket, and knows how many connections each Service has.
    func services(
        following file: ConfigurationFile?,
        _ controller: ServiceController,
        _ explainer: ProxyExplainer
    ) -> [any ServiceLifecycle.Service] {
        let healthChecks = healthChecks
        var services: [any ServiceLifecycle.Service] = [
            UntilShutdown(description: "health checks") { await healthChecks.run() }
        ]
        if let events {
            services.append(UntilShutdown(description: "events") { await events.recorder.run() })
        }
        let pages = pages
        if let address = configuration.healthServer {
            services.append(server("healthz", address, "FailedToStartProxierHealthcheck") { pages.health($0) })
        }
        if let address = configuration.statusServer {
            services.append(
                server("metrics", address, "FailedToStartMetricServer") {
                    await pages.status($0) { await explainer.connectionMetrics() }
                }
            )
        }
        if let socket = configuration.socket {
            let pages = ExplainPages(explainer: explainer)
            services.append(LocalSocketService(path: socket, logger: logger) { await pages.answer($0) })
        }
        if let file { services.append(watch(file, controller)) }
        return services
    }

    /// - Parameter failure: the reason of the event when the address cannot be had and the process ends for that.
    private func server(
        _ name: String,
        _ address: BindAddress,
        _ failure: String,
        answer: @escaping StatusServer.Answer
    ) -> ListeningService {
        var service = ListeningService(description: name, address: address, logger: logger, answer: answer)
        if configuration.bindAddressHardFail {
            let events = events
            service.failHard = { await events?.reportEnd(reason: failure, of: name, address, $0) }
        }
        return service
    }

    private func watch(_ file: ConfigurationFile, _ controller: ServiceController) -> ConfigurationWatch {
        let (pages, logger) = (pages, logger)
        return ConfigurationWatch(file: file) { file in
            try await pages.running.take(file) { old, new in
                if new.mode.writesRules { new.conntrack.apply(logger: logger) }
                pages.status.setSyncPeriod(new.syncPeriod)
                await controller.reconfigure(
                    new.retryPolicy,
                    nodePortAddresses: new.nodePortAddresses,
                    needsNewBackend: new.needsNewBackend(after: old)
                )
            }
        }
    }
}

extension ProxyConfiguration {
    var retryPolicy: ServiceController.RetryPolicy {
        ServiceController.RetryPolicy(longestDelay: syncPeriod, minimumInterval: minSyncPeriod)
    }
}
