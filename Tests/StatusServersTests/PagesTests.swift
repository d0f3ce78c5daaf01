import KubernetesAPI
import Synchronization
import TestSupport
import Testing

@testable import StatusServers

@Suite struct PagesTests {
    private func get(_ path: String, _ query: String = "", accept: String = "") -> StatusRequest {
        StatusRequest(method: "GET", path: path, query: query, accept: accept)
    }

    @Test(
        arguments: [
            ("", "x", []), ("x", "x", [""]), ("x=1&y=2&x=3", "x", ["1", "3"]), ("a%20b=c+d%2F%zz", "a b", ["c d/%zz"]),
            ("x=%e2%82%ac", "x", ["€"]), ("xy=1", "x", []),
        ] as [(String, String, [String])]
    )
    func queriesAreDecoded(_ query: String, _ name: String, _ values: [String]) {
        #expect(get("/", query).values(of: name) == values)
    }

    @Test func healthIsThatOfComponents() {
        let isBad = Mutex(false)
        let health = ComponentHealth([
            .ping, ComponentHealth.Check("log") { isBad.withLock { $0 } ? "the disk is full" : nil },
        ])
        #expect(health.answer(get("/healthz"))?.body == "ok")
        #expect(health.answer(get("/healthz"))?.headers == ["X-Content-Type-Options": "nosniff"])
        #expect(
            health.answer(get("/healthz", "verbose"))?.body == "[+]ping ok\n[+]log ok\nhealthz check passed\n"
        )
        #expect(
            health.answer(get("/healthz", "verbose=1&exclude=log&exclude=x"))?.body == """
                [+]ping ok
                [+]log excluded: ok
                warn: some health checks cannot be excluded: no matches for "x"
                healthz check passed

                """
        )
        #expect(health.answer(get("/healthz/ping"))?.body == "ok")
        #expect(health.answer(get("/healthz/none")) == nil)
        #expect(health.answer(get("/healthzz")) == nil)
        #expect(health.answer(get("/metrics")) == nil)

        isBad.withLock { $0 = true }
        let failed = health.answer(get("/healthz"))
        #expect(failed?.code == 500)
        #expect(failed?.body == "[+]ping ok\n[-]log failed: reason withheld\nhealthz check failed\n")
        #expect(health.answer(get("/healthz", "exclude=log"))?.code == 200)
        #expect(health.answer(get("/healthz/log"))?.body == "internal server error: the disk is full\n")
    }

    @Test func indicatorsCountChecksAndStartOver() throws {
        let health = ComponentHealth()
        #expect(health.indicators(get("/metrics/slis")).body == "")
        for _ in 0..<3 { _ = health.answer(get("/healthz")) }
        let read = try PrometheusReader(health.indicators(get("/metrics/slis")).body)
        #expect(read.value("kubernetes_healthcheck", ["name": "ping", "type": "healthz"]) == 1)
        let labels = ["name": "ping", "status": "success", "type": "healthz"]
        #expect(read.value("kubernetes_healthchecks_total", labels) == 3)
        #expect(read.families["kubernetes_healthcheck"]?.type == "gauge")
        #expect(read.families["kubernetes_healthchecks_total"]?.type == "counter")
        let reset = health.indicators(StatusRequest(method: "DELETE", path: "/metrics/slis"))
        #expect(reset.body == "metrics reset\n")
        #expect(health.indicators(get("/metrics/slis")).body == "")
    }

    private let statusz = ZPage.statusz(
        "kube-proxy",
        started: Timestamp("2024-10-06T21:03:43.5Z")!,
        now: Timestamp("2024-10-06T22:05:44Z")!,
        version: "x 1",
        emulationVersion: "1.36",
        paths: ["/healthz", "/statusz"]
    )

    @Test func pagesForPeopleAreText() {
        #expect(
            statusz.answer(get("/statusz")).body == """
                kube-proxy statusz
                Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees \
                and is for debugging purposes only.

                Started: Sun Oct  6 21:03:43 UTC 2024
                Up: 1 hr 02 min 01 sec
                Binary version: x 1
                Emulation version: 1.36
                Paths: /healthz /statusz

                """
        )
        let flagz = ZPage.flagz("kube-proxy", [("v", "2"), ("config", "/etc/c")]).answer(get("/flagz"))
        #expect(flagz.body.hasPrefix("kube-proxy flags\nWarning: "))
        #expect(flagz.body.hasSuffix("\n\nconfig=/etc/c\nv=2\n"))
    }

    @Test func programsAskForAnObject() {
        let answer = statusz.answer(
            get("/statusz", accept: "application/json;v=v1beta1;g=config.k8s.io;as=Statusz")
        )
        #expect(answer.contentType == "application/json")
        #expect(
            answer.body
                == #"{"kind":"Statusz","apiVersion":"config.k8s.io/v1beta1","metadata":{"name":"kube-proxy"},"#
                + #""startTime":"2024-10-06T21:03:43Z","uptimeSeconds":3721,"binaryVersion":"x 1","#
                + #""emulationVersion":"1.36","paths":["/healthz","/statusz"]}"#
        )
        let flagz = ZPage.flagz("kube-proxy", [("v", "2")])
        let object = flagz.answer(get("/flagz", accept: "application/json; v=v1alpha1; g=config.k8s.io; as=Flagz"))
        #expect(object.body.hasPrefix(#"{"kind":"Flagz","apiVersion":"config.k8s.io/v1alpha1""#))
        #expect(object.body.hasSuffix(#""flags":{"v":"2"}}"#))
    }

    @Test(
        arguments: [
            ("text/plain", "text"), ("*/*", "text"), ("text/html, */*;q=0.8", "text"), ("text/*", "text"),
            ("application/json", "406"), ("application/json;v=v1beta1;g=config.k8s.io;as=Flagz", "406"),
            ("application/json;v=v9;g=config.k8s.io;as=Statusz", "406"), ("image/png", "406"),
            ("text/plain;q=0", "406"),
            ("text/plain;q=0.5, application/json;v=v1beta1;g=config.k8s.io;as=Statusz", "json"),
            ("application/json, text/plain;q=0.1", "text"),
        ]
    )
    func whatIsAcceptedDecides(_ accept: String, _ form: String) {
        let answer = statusz.answer(get("/statusz", accept: accept))
        let found = answer.code == 406 ? "406" : answer.contentType == "application/json" ? "json" : "text"
        #expect(found == form)
        if form == "406" { #expect(answer.body.contains("application/json;v=v1beta1;g=config.k8s.io;as=Statusz")) }
    }
}
