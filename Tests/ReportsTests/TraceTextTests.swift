import NetworkTypes
import ProxyAPI
import Testing

@testable import Reports

/// What `proxy trace` prints, byte for byte.
@Suite struct TraceTextTests {
    private func choice(_ address: String, isLocal: Bool, _ source: String?, isMasqueraded: Bool) -> PacketTrace.Choice
    {
        PacketTrace.Choice(
            backend: BackendReport(address: IPAddress(address)!, port: 8080, isLocal: isLocal),
            probability: 0.5,
            isMasqueraded: isMasqueraded,
            seenSource: source.map { IPAddress($0)! }
        )
    }

    private var trace: PacketTrace {
        let look = PacketTrace.Step(
            hook: "prerouting",
            chain: "services",
            rule: "ip daddr . meta l4proto . th dport vmap @frontends",
            element: "10.96.0.10 . tcp . 80 comment \"default/web\" : goto pick-2",
            result: "goto pick-2",
            why: "the cluster IP of default/web"
        )
        let pick = PacketTrace.Step(
            hook: "prerouting",
            chain: "pick-2",
            rule: "dnat ip to …",
            result: "dnat to one of 2",
            why: "one of 2 endpoints, at random"
        )
        func post(_ result: String, _ why: String) -> PacketTrace.Step {
            .init(hook: "postrouting", chain: "nat-postrouting", rule: "… @hairpin …", result: result, why: why)
        }
        return PacketTrace(
            packet: .init(
                source: IPAddress("10.9.0.1")!,
                destination: IPAddress("10.96.0.10")!,
                destinationPort: 80,
                protocol: "TCP",
                origin: .pod
            ),
            service: "default/web",
            frontend: .clusterIP,
            steps: [look, pick],
            ways: [
                .init(
                    choices: [choice("10.9.0.2", isLocal: false, "10.9.0.1", isMasqueraded: false)],
                    steps: [post("no match", "")]
                ),
                .init(
                    choices: [choice("10.9.0.1", isLocal: true, "10.9.0.254", isMasqueraded: true)],
                    steps: [post("masquerade", "the endpoint reaches itself")]
                ),
            ],
            verdict: .translated,
            why: "the cluster IP of default/web: one of 2 endpoints, at random",
            notes: ["a change waits"]
        )
    }

    @Test func everyStepWithItsReason() {
        #expect(
            trace.text == """
                TCP from 10.9.0.1 (a pod) to 10.96.0.10:80, the first packet of a connection

                 1. prerouting services: ip daddr . meta l4proto . th dport vmap @frontends
                      10.96.0.10 . tcp . 80 comment "default/web" : goto pick-2
                    -> goto pick-2: the cluster IP of default/web
                 2. prerouting pick-2: dnat ip to …
                    -> dnat to one of 2: one of 2 endpoints, at random

                  towards 10.9.0.2:8080:
                 3. postrouting nat-postrouting: … @hairpin …
                    -> no match

                  towards 10.9.0.1:8080:
                 4. postrouting nat-postrouting: … @hairpin …
                    -> masquerade: the endpoint reaches itself

                Translated: the cluster IP of default/web: one of 2 endpoints, at random

                  BACKEND         SHARE   NODE    SOURCE IT SEES
                  10.9.0.1:8080   50%     this    10.9.0.254 (masqueraded)
                  10.9.0.2:8080   50%     other   10.9.0.1 (kept)

                Note: a change waits

                """
        )
    }

    @Test func aPacketThatGoesNowhere() throws {
        let trace = PacketTrace(
            packet: .init(
                source: IPAddress("fd00::1")!,
                sourcePort: 4711,
                destination: IPAddress("fd96::10")!,
                destinationPort: 53,
                protocol: "UDP",
                interface: "eth0",
                origin: .elsewhere
            ),
            verdict: .untouched,
            why: "no Service has it"
        )
        #expect(
            trace.text == """
                UDP from [fd00::1]:4711 (elsewhere, in by eth0) to [fd96::10]:53, the first packet of a connection


                Untouched: no Service has it

                """
        )
        #expect(try trace.json().contains("\"verdict\": \"Untouched\""))
        #expect(try trace.yaml().contains("verdict: Untouched\n"))
    }
}
