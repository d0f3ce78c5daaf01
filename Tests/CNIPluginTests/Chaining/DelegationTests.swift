import Foundation
import Testing

/// Addresses from another IPAM plugin: the real host-local, and programs that behave badly.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct DelegationTests {
    let bench: Bench
    let pod: String

    init() throws {
        bench = try Bench()
        pod = try bench.pod()
    }

    private var store: String { bench.directory + "/host-local" }

    private func hostLocal(_ more: String = "") -> String {
        #"""
        {"type": "host-local", "dataDir": "\#(store)",
         "ranges": [[{"subnet": "10.99.0.0/29"}], [{"subnet": "fd99::/120"}]]\#(more)}
        """#
    }

    private func leases() -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: store + "/pods")) ?? []
        return all.filter { !$0.contains("lock") && !$0.contains("last_reserved") }.sorted()
    }

    @Test func hostLocalGivesTheAddresses() async throws {
        let chain = try PluginChain(bench, bench.plugin(ipam: hostLocal()))
        let added = try await chain.add("c1", pod)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        #expect(added.addresses == ["10.99.0.2", "fd99::2"])
        // 3.4: narrowed, and with our gateway.
        let ips = try #require(added.json["ips"] as? [[String: Any]])
        #expect(ips.map { $0["address"] as? String } == ["10.99.0.2/32", "fd99::2/128"])
        #expect(ips.allSatisfy { $0["gateway"] == nil && $0["interface"] as? Int == 1 })
        #expect(try Set(bench.podAddresses(pod)) == Set(added.addresses))
        #expect(try Set(bench.hostRoutes()) == Set(added.addresses))
        #expect(leases() == added.addresses.sorted())
        #expect(try await bench.assignedAddresses() == [])
        #expect(try await bench.recordedAddresses() == added.addresses.sorted())
        // host-local refuses a second ADD; ours repeats what it answered.
        let again = try await chain.add("c1", pod)
        #expect(again.output == added.output, "\(again.log)")
        #expect(try await chain.check("c1", pod, added) == nil)
        try FileManager.default.removeItem(atPath: store + "/pods/10.99.0.2")
        try FileManager.default.removeItem(atPath: store + "/pods/fd99::2")
        let lost = try await chain.check("c1", pod, added)
        #expect(lost?.contains("c1") == true)
        try await chain.delete("c1", pod, added)
        #expect(leases() == [])
        #expect(try bench.hostLinks() == [])
        #expect(try await bench.recordedAddresses() == [])
        try await chain.delete("c1", nil, nil)
    }

    @Test func routesReplaceTheDefaultOnes() async throws {
        let ipam = hostLocal(#", "routes": [{"dst": "192.0.2.0/24", "gw": "10.99.0.1"}, {"dst": "2001:db8::/32"}]"#)
        let chain = try PluginChain(bench, bench.plugin(ipam: ipam))
        let added = try await chain.add("c1", pod)
        try #require(added.status == 0, "\(added.output) \(added.log)")
        let routes = try #require(added.json["routes"] as? [[String: Any]])
        #expect(routes.map { $0["dst"] as? String } == ["192.0.2.0/24", "2001:db8::/32"])
        #expect(routes.first?["gw"] as? String == "169.254.1.1")
        let inPod = try bench.ip("route", in: pod).compactMap { $0["dst"] as? String }
        #expect(inPod.contains("192.0.2.0/24") && !inPod.contains("default"), "\(inPod)")
        #expect(try await chain.check("c1", pod, added) == nil)
        let both = try PluginChain(bench, bench.plugin(ipam: ipam, extra: #", "include_default_routes": true"#))
        let other = try bench.pod()
        #expect(try await both.add("c2", other).status == 0)
        #expect(try bench.ip("route", in: other).contains { $0["dst"] as? String == "default" })
    }

    /// What host-local says goes to the runtime, and what it gave goes back.
    @Test func errorsAreHandedOnAndUndone() async throws {
        let tiny = #"{"type": "host-local", "dataDir": "\#(store)", "subnet": "10.99.0.0/30"}"#
        let chain = try PluginChain(bench, bench.plugin(ipam: tiny))
        #expect(try await chain.add("c1", pod).status == 0)
        let other = try bench.pod()
        let refused = try await chain.add("c2", other)
        #expect(refused.status == 1)
        #expect(refused.output.contains("no IP addresses available in range set"), "\(refused.output)")
        #expect(try bench.ip("link", in: other).count == 1)
        #expect(leases() == ["10.99.0.2"])
        try await chain.delete("c1", pod, nil)

        // What fails after the IPAM plugin has answered.
        try Bench.run("ip", "-n", Bench.namespace(other), "link", "add", "eth0", "type", "veth", "peer", "peer0")
        let taken = try await chain.add("c2", other)
        #expect(taken.code == 7, "\(taken.output)")
        #expect(leases() == [])
        #expect(try await bench.recordedAddresses() == [])
    }

    /// An ADD that was killed leaves an allocation, which host-local would refuse to give again.
    @Test func aKilledAddIsFinished() async throws {
        let chain = try PluginChain(bench, bench.plugin(ipam: hostLocal()))
        try FileManager.default.createDirectory(atPath: store + "/pods", withIntermediateDirectories: true)
        try "c1\r\neth0".write(toFile: store + "/pods/10.99.0.5", atomically: true, encoding: .utf8)
        let added = try await chain.add("c1", pod)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(leases() == added.addresses.sorted())
    }

    /// GC has host-local, which knows none, take back what nobody has any more (GC5).
    @Test func garbageGoesBack() async throws {
        let chain = try PluginChain(bench, bench.plugin(ipam: hostLocal()))
        #expect(try await chain.add("c1", pod).status == 0)
        let other = try bench.pod()
        let kept = try await chain.add("c2", other)
        #expect(kept.status == 0)
        let script = #"""
            #!/bin/sh
            # host-local of a later release, which takes version 1.1.0.
            sed 's/"cniVersion": *"1.1.0"/"cniVersion":"1.0.0"/' | \#(PluginChain.directory)/host-local
            """#
        let later = bench.directory + "/later"
        try FileManager.default.createDirectory(atPath: later, withIntermediateDirectories: true)
        try install(script, as: "later/host-local")
        let configuration = bench.configuration(
            extra: #", "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]"#
        ).replacingOccurrences(
            of: #""type": "swiftlet-ipam""#,
            with:
                #""type": "host-local", "dataDir": "\#(store)", "ranges": [[{"subnet": "10.99.0.0/29"}], [{"subnet": "fd99::/120"}]]"#
        )
        let collected = try await bench.run(
            ["CNI_COMMAND": "GC", "CNI_PATH": later, "PATH": "/usr/bin:/bin"],
            stdin: configuration
        )
        #expect(collected.status == 0, "\(collected.output) \(collected.log)")
        #expect(leases() == kept.addresses.sorted())
        #expect(try Set(bench.hostRoutes()) == Set(kept.addresses))
    }

    /// 1.1: the range that the cluster gave the node.
    @Test func theNodesOwnRange() async throws {
        let cluster = try await ClusterBench(.kubernetes)
        try cluster.server.put(
            #"""
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"},
             "spec": {"podCIDR": "10.98.0.0/24", "podCIDRs": ["10.98.0.0/24", "fd98::/120"]}}
            """#
        )
        let ipam = #"""
            {"type": "host-local", "dataDir": "\#(store)",
             "ranges": [[{"subnet": "usePodCidr"}], [{"subnet": "USEPODCIDRIPV6"}]]}
            """#
        let host = cluster.bench
        let chain = try PluginChain(host, host.plugin(ipam: ipam, extra: cluster.members))
        let other = try host.pod()
        _ = try cluster.schedule("pod-c1", container: "c1")
        let added = try await chain.add("c1", other)
        #expect(added.addresses == ["10.98.0.2", "fd98::2"], "\(added.output) \(added.log)")
        let check = try await chain.check("c1", other, added)
        #expect(check == nil)
        try await chain.delete("c1", other, added)
        #expect(leases() == [])
        let local = try await PluginChain(bench, bench.plugin(ipam: ipam)).add("c1", pod)
        #expect(local.code == 7, "\(local.output)")
    }

    /// STATUS asks the other plugin too (ST2).
    @Test func statusIsPassedOn() async throws {
        func status(_ script: String?) async throws -> Bench.Outcome {
            if let script { try install("#!/bin/sh\n" + script + "\n", as: "odd-ipam") }
            let configuration = bench.configuration().replacingOccurrences(of: "swiftlet-ipam", with: "odd-ipam")
            let environment = ["CNI_COMMAND": "STATUS", "CNI_PATH": bench.directory, "PATH": "/usr/bin:/bin"]
            return try await bench.run(environment, stdin: configuration)
        }
        let missing = try await status(nil)
        #expect(missing.code == 50, "\(missing.output)")
        #expect(try await status(#"[ "$CNI_COMMAND" = STATUS ]"#).status == 0)
        // One that is older than STATUS.
        #expect(try await status(#"echo '{"code": 4, "msg": "unknown CNI_COMMAND: STATUS"}'; exit 1"#).status == 0)
        // ST1: one that takes no such version refuses each ADD.
        let answers = #"""
            [ "$CNI_COMMAND" = VERSION ] && { echo '{"supportedVersions": ["0.4.0", "1.0.0"]}'; exit 0; }
            echo '{"code": 4, "msg": "unknown CNI_COMMAND: STATUS"}'; exit 1
            """#
        let old = try await status(answers)
        #expect(old.code == 50 && old.output.contains("1.1.0"), "\(old.output)")
        #expect(try await status(answers.replacingOccurrences(of: "0.4.0", with: "1.1.0")).status == 0)
        let full = try await status(#"echo '{"code": 50, "msg": "all gone"}'; exit 1"#)
        #expect(full.code == 50 && full.output.contains("all gone"), "\(full.output)")
        let limited = try await status(#"echo '{"code": 51, "msg": "no links"}'; exit 1"#)
        #expect(limited.code == 51 && limited.output.contains("no links"), "\(limited.output)")
        let odd = try await status(#"echo '{"code": 11, "msg": "busy"}'; exit 1"#)
        #expect(odd.code == 50 && odd.output.contains("busy"), "\(odd.output)")
        let hanging = try await status("sleep 60")
        #expect(hanging.code == 50, "\(hanging.output)")
    }

    /// It would call itself until the node has no processes left.
    @Test(arguments: ["swiftlet", "other"])
    func theMainPluginIsNoIPAMPlugin(_ name: String) async throws {
        let path = bench.directory + "/" + name
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: Bench.program)
        let configuration = bench.configuration(extra: #", "cni.dev/valid-attachments": []"#)
            .replacingOccurrences(of: "swiftlet-ipam", with: name)
        for (command, code) in [("ADD", 7), ("DEL", 7), ("GC", 7), ("STATUS", 50)] {
            var environment = bench.environment(command, "c1", namespace: pod)
            environment["CNI_PATH"] = bench.directory
            let refused = try await bench.run(environment, stdin: configuration)
            #expect(refused.code == code && refused.output.contains("itself"), "\(command): \(refused.output)")
        }
    }

    // MARK: Plugins that behave badly

    private func install(_ script: String, as name: String) throws {
        let path = bench.directory + "/" + name
        try script.write(toFile: path, atomically: true, encoding: .utf8)
        chmod(path, 0o755)
    }

    private func add(with script: String, extra: String = "") async throws -> Bench.Outcome {
        try install("#!/bin/sh\n" + script + "\n", as: "odd-ipam")
        return try await PluginChain(bench, bench.plugin(ipam: #"{"type": "odd-ipam"}"#, extra: extra)).add("c1", pod)
    }

    @Test(arguments: [
        ("exit 1", 5), ("echo nonsense", 6), ("echo '[]'", 6), ("true", 6), ("kill -9 $$", 5),
        (#"echo '{"code": 123, "msg": "mine", "details": "more"}'; exit 1"#, 123),
        (#"echo '{"cniVersion": "1.0.0", "ips": []}'"#, 100),
        (#"echo '{"cniVersion": "1.0.0", "ips": [{"address": "x"}]}'"#, 6),
        (#"echo '{"cniVersion": "1.0.0", "ips": [{"address": "0.0.0.0/8"}]}'"#, 7),
        ("cat >/dev/null; yes | head -c 5000000", 6),
    ])
    func badAnswers(_ script: String, _ code: Int) async throws {
        // DEL is always fine with it.
        let refused = try await add(with: #"[ "$CNI_COMMAND" = DEL ] && exit 0; "# + script)
        #expect(refused.status == 1)
        #expect(refused.code == code, "\(refused.output)")
        #expect(refused.json["msg"] is String)
        #expect(try bench.hostLinks() == [])
        #expect(try bench.ip("link", in: pod).count == 1)
        #expect(try await bench.recordedAddresses() == [])
    }

    /// The whole ADD has a deadline below the runtime's; what hangs is ended with its children, and the ADD undone.
    @Test func whatHangsIsEnded() async throws {
        let marker = bench.directory + "/ended"
        let script = #"[ "$CNI_COMMAND" = DEL ] && { touch \#(marker); exit 0; }; sleep 300 & sleep 300"#
        let refused = try await add(with: script, extra: #", "add_timeout_seconds": 2"#)
        #expect(refused.code == 11, "\(refused.output) \(refused.log)")
        #expect(FileManager.default.fileExists(atPath: marker))
        #expect(try bench.hostLinks() == [])
        #expect(try bench.inside(nil, "sh", "-c", "ps -eo args | grep -c '[s]leep 300' || true") == "0\n")
    }

    /// CHECK has a deadline of its own, as runtimes call it whenever they are asked how a pod is.
    @Test func aCheckThatHangsIsEnded() async throws {
        let answer = #"echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.99.0.9/24"}]}'"#
        let added = try await add(with: #"[ "$CNI_COMMAND" = CHECK ] && sleep 301; "# + answer)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        let chain = try PluginChain(bench, bench.plugin(ipam: #"{"type": "odd-ipam"}"#))
        let start = ContinuousClock.now
        let checked = try await chain.check("c1", pod, added)
        #expect(checked?.contains(#""code": 11"#) == true, "\(checked ?? "")")
        #expect(start.duration(to: .now) < .seconds(30))
        #expect(try bench.inside(nil, "sh", "-c", "ps -eo args | grep -c '[s]leep 301' || true") == "0\n")
    }

    /// C7
    @Test func aMappedAddressIsOfIPv4() async throws {
        let added = try await add(
            with: #"echo '{"cniVersion": "1.0.0", "ips": [{"address": "::ffff:10.99.0.9/120"}]}'"#
        )
        #expect(added.addresses == ["10.99.0.9"], "\(added.output) \(added.log)")
        #expect(try bench.podAddresses(pod) == ["10.99.0.9"])
    }

    /// As shell plugins open what they read.
    @Test func theConfigurationCanBeOpenedByItsPath() async throws {
        let seen = bench.directory + "/seen"
        let answer = #"echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.99.0.9/24"}]}'"#
        let added = try await add(with: "cat /dev/stdin >\(seen); echo words >&2; " + answer)
        #expect(added.status == 0, "\(added.output) \(added.log)")
        #expect(try String(contentsOfFile: seen, encoding: .utf8).contains(#""odd-ipam""#))
        // What it says for people goes to the runtime's log, as ours does.
        #expect(added.log.contains("words"), "\(added.log)")
    }

    /// It gets what we got, and does not have to know all of it (1.2).
    @Test func environmentAndConfigurationAreHandedOn() async throws {
        let copy = bench.directory + "/seen"
        let answer = #"echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.99.0.9/24"}]}'"#
        let script = #"{ env; echo; cat; } >\#(copy).$CNI_COMMAND; \#(answer)"#
        let added = try await add(with: script, extra: #", "mtu": 1400, "zzz": [1.50, {"deep": null}]"#)
        #expect(added.addresses == ["10.99.0.9"], "\(added.output) \(added.log)")
        let seen = try String(contentsOfFile: copy + ".ADD", encoding: .utf8)
        for text in [
            "CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0", "CNI_NETNS=\(pod)",
            "CNI_ARGS=IgnoreUnknown=1;IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=pod-c1",
            "CNI_PATH=\(PluginChain.directory):",
            "PATH=/usr/sbin", "1400",
        ] { #expect(seen.contains(text), "\(text) is not in \(seen)") }
        try await PluginChain(bench, bench.plugin(ipam: #"{"type": "odd-ipam"}"#)).delete("c1", pod, nil)
        #expect(try String(contentsOfFile: copy + ".DEL", encoding: .utf8).contains("CNI_COMMAND=DEL"))
    }

    @Test func addressesByAnnotationAreForOurOwn() async throws {
        var chain = try PluginChain(
            bench,
            bench.plugin(ipam: hostLocal(), extra: #", "capabilities": {"io.kubernetes.cri.pod-annotations": true}"#)
        )
        chain.runtime = ["io.kubernetes.cri.pod-annotations": ["cni.projectcalico.org/ipAddrs": #"["10.99.0.4"]"#]]
        let refused = try await chain.add("c1", pod)
        #expect(refused.code == 7, "\(refused.output)")
        #expect(leases() == [])
    }
}
