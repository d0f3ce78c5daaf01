import JSON
import KubernetesAPI
import PrometheusText
import ServiceProxy
import StatusServers
import Version

/// The answers of the health server (2.9) and the status server (2.10).
struct StatusPages: Sendable {
    let status: ProxyStatus
    let running: RunningConfiguration
    let requests: RequestMetrics
    private let component = ComponentHealth()

    init(status: ProxyStatus, running: RunningConfiguration, requests: RequestMetrics) {
        self.status = status
        self.running = running
        self.requests = requests
    }

    /// What we stand in for.
    private static let name = "kube-proxy"
    private static let emulatedVersion = "1.36"

    func health(_ request: StatusRequest) -> StatusAnswer {
        switch request.path {
        case "/healthz": answer(status.healthz())
        case "/livez": answer(status.livez())
        default: .notFound  // HZ-1
        }
    }

    private func answer(_ answer: (code: Int, body: String)) -> StatusAnswer {
        .json(answer.code, body: answer.body)
    }

    /// - Parameter connections: what is counted of the connections to each Service.
    func status(
        _ request: StatusRequest,
        connections: () async -> [MetricFamily]
    ) async -> StatusAnswer {
        let values = running.values
        let gates = FeatureGates(values.configuration.featureGates)
        switch request.path {
        case "/metrics":
            let families = status.metrics() + requests.families + (await connections())
            return StatusAnswer(
                contentType: MetricFamily.contentType,
                body: MetricFamily.text(
                    ComponentMetrics.completing(families, version: swiftletVersion, gates: gates)
                )
            )
        case "/metrics/slis": return component.indicators(request)
        case "/proxyMode":
            return StatusAnswer(headers: ["X-Content-Type-Options": "nosniff"], body: running.mode.rawValue)
        case "/configz":
            let page = JSONObject([("kubeproxy.config.k8s.io", values.configuration.withDefaults.json)])
            return .json(200, body: JSONValue.object(page).text())
        case "/flagz" where gates.isEnabled(.componentFlagz):
            return ZPage.flagz(Self.name, ProxyCommandLine.effective(values)).answer(request)
        case "/statusz" where gates.isEnabled(.componentStatusz):
            return statusz(values, gates).answer(request)
        case let path where path.hasPrefix("/debug/") && values.configuration.enableProfiling:
            return debugging(request)
        default: return component.answer(request) ?? .notFound
        }
    }

    private func statusz(_ values: ProxyCommandLine.Values, _ gates: FeatureGates) -> ZPage {
        var paths = ["/configz", "/healthz", "/metrics", "/proxyMode"]
        if values.configuration.enableProfiling { paths.append("/debug") }
        if gates.isEnabled(.componentFlagz) { paths.append("/flagz") }
        paths.append("/statusz")
        return ZPage.statusz(
            Self.name,
            started: status.started,
            now: .now,
            version: "swiftlet-proxy \(swiftletVersion)",
            emulationVersion: Self.emulatedVersion,
            paths: paths.sorted()
        )
    }

    private func debugging(_ request: StatusRequest) -> StatusAnswer {
        switch request.path {
        case "/debug/flags", "/debug/flags/":
            return StatusAnswer(body: "v: PUT a number to /debug/flags/v to change the verbosity of the log\n")
        case "/debug/flags/v":
            guard request.method == "PUT" else { return StatusAnswer(406, body: "unsupported http method\n") }
            let text = request.body.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            guard let verbosity = Int(text), (0...Int(Int32.max)).contains(verbosity) else {
                return StatusAnswer(400, body: "the verbosity is a number from 0, not \"\(text.prefix(64))\"\n")
            }
            running.verbosity.set(verbosity)
            return StatusAnswer(body: "successfully set klog.logging.verbosity to \(verbosity)\n")
        case let path where path == "/debug/pprof" || path.hasPrefix("/debug/pprof/"):
            return .failure(
                501,
                """
                There are no profiles here: they are of Go's run time, and swiftlet-proxy is written in Swift. /metrics \
                has CPU time, memory and open files (process_*); perf and heaptrack show where they go. \
                /debug/flags/v changes the verbosity of the log.
                """
            )
        default: return .notFound
        }
    }
}
