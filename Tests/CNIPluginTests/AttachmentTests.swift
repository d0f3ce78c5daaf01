import CNI
import Foundation
import Testing

/// The plugin as a runtime sees it: the program, its exit code and stdout, and the kernel's tables before and after.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct AttachmentTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    /// No link, route or record is left of anything.
    func expectNothingLeft(_ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try bench.hostLinks() == [], sourceLocation: location)
        #expect(try bench.hostRoutes() == [], sourceLocation: location)
        #expect(try await bench.recordedAddresses() == [], sourceLocation: location)
        #expect(try await bench.assignedAddresses() == [], sourceLocation: location)
    }

    // MARK: ADD, CHECK, DEL

    struct Families: Sendable, CustomTestStringConvertible {
        let ipv4: Bool
        let ipv6: Bool
        var testDescription: String { "\(ipv4 ? "IPv4" : "") \(ipv6 ? "IPv6" : "")" }
    }

    @Test(arguments: [Families(ipv4: true, ipv6: false), .init(ipv4: false, ipv6: true), .init(ipv4: true, ipv6: true)])
    func addCheckDelete(_ families: Families) async throws {
        let pod = try bench.pod()
        let configuration = bench.configuration(ipv4: families.ipv4, ipv6: families.ipv6, extra: #", "mtu": 1400"#)
        let pods = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;IgnoreUnknown=1;K8S_POD_UID=u"
        let added = try await bench.call("ADD", "c1", namespace: pod, arguments: pods, configuration)
        #expect(added.status == 0, "\(added.output) \(added.log)")

        let expected = (families.ipv4 ? ["10.80.0."] : []) + (families.ipv6 ? ["fd80::"] : [])
        #expect(added.addresses.count == expected.count)
        #expect(zip(added.addresses, expected).allSatisfy { $0.hasPrefix($1) }, "\(added.addresses)")
        let interfaces = try #require(added.json["interfaces"] as? [[String: Any]])
        #expect(interfaces.map { $0["name"] as? String } == [try bench.hostLinks().first, "eth0"])
        #expect(interfaces[0]["mac"] as? String == "ee:ee:ee:ee:ee:ee")
        #expect(interfaces.map { $0["mtu"] as? Int } == [1400, 1400])
        #expect(interfaces.map { $0["sandbox"] as? String } == [nil, pod])
        #expect(
            (added.json["ips"] as? [[String: Any]])?.allSatisfy { $0["interface"] as? Int == 1 && $0["gateway"] == nil }
                == true
        )
        let routes = (added.json["routes"] as? [[String: Any]])?.compactMap { $0["dst"] as? String }
        #expect(routes == (families.ipv4 ? ["0.0.0.0/0"] : []) + (families.ipv6 ? ["::/0"] : []))

        #expect(try Set(bench.podAddresses(pod)) == Set(added.addresses))
        #expect(try Set(bench.hostRoutes()) == Set(added.addresses))
        let eth0 = try #require(try bench.ip("link", "show", "dev", "eth0", in: pod).first)
        #expect(eth0["address"] as? String == interfaces[1]["mac"] as? String)
        #expect(eth0["mtu"] as? Int == 1400)
        #expect(try await bench.recordedAddresses() == added.addresses.sorted())
        #expect(try await bench.assignedAddresses() == added.addresses.sorted())

        let previous = bench.configuration(
            ipv4: families.ipv4,
            ipv6: families.ipv6,
            extra: #", "mtu": 1400, "prevResult": \#(added.output)"#
        )
        let checked = try await bench.call("CHECK", "c1", namespace: pod, arguments: pods, previous)
        #expect(checked.status == 0, "\(checked.output)")
        #expect(checked.output == "")

        for _ in 1...2 {
            let deleted = try await bench.call("DEL", "c1", namespace: pod, arguments: pods, configuration)
            #expect(deleted.status == 0, "\(deleted.output)")
            #expect(deleted.output == "")
            try await expectNothingLeft()
        }
        #expect(try bench.podAddresses(pod) == [])
        let gone = try await bench.call("CHECK", "c1", namespace: pod, arguments: pods, previous)
        #expect(gone.code == 3)
    }

    @Test(arguments: SpecVersion.allCases)
    func resultOfEachVersion(_ version: SpecVersion) async throws {
        let pod = try bench.pod()
        let configuration = bench.configuration(version: version.rawValue, ipv6: true)
        let added = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(added.status == 0, "\(added.output)")
        #expect(added.json["cniVersion"] as? String == version.rawValue)
        #expect(added.addresses.count == 2)
        #expect((added.json["interfaces"] == nil) == (version < .v0_3_0))
        #expect((added.json["ip4"] != nil) == (version < .v0_3_0))
        if version >= .v0_4_0 {
            let previous = bench.configuration(version: version.rawValue, extra: #", "prevResult": \#(added.output)"#)
            #expect(try await bench.call("CHECK", "c1", namespace: pod, previous).status == 0)
        }
        #expect(try await bench.call("DEL", "c1", namespace: pod, configuration).status == 0)
        try await expectNothingLeft()
    }

    @Test func repeatedAddGivesTheSame() async throws {
        let pod = try bench.pod()
        let first = try await bench.call("ADD", "c1", namespace: pod)
        let second = try await bench.call("ADD", "c1", namespace: pod)
        #expect(first.status == 0)
        #expect(second.output == first.output)
        #expect(try await bench.assignedAddresses() == first.addresses)
    }

    @Test func twoInterfacesOfOneContainer() async throws {
        let pod = try bench.pod()
        let pods = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
        let first = try await bench.call("ADD", "c1", namespace: pod, arguments: pods)
        let second = try await bench.call("ADD", "c1", namespace: pod, interface: "net1", arguments: pods)
        // A pod has one default route; the second attachment must not need another.
        #expect(first.status == 0)
        #expect(second.status == 0, "\(second.output)")
        #expect(Set(first.addresses).isDisjoint(with: second.addresses))
        #expect(try await bench.call("DEL", "c1", namespace: pod, interface: "net1", arguments: pods).status == 0)
        #expect(try await bench.assignedAddresses() == first.addresses)
        #expect(try bench.podAddresses(pod) == first.addresses)
        #expect(try bench.hostRoutes() == first.addresses)
        #expect(try await bench.call("DEL", "c1", namespace: pod, arguments: pods).status == 0)
        try await expectNothingLeft()
    }

    /// 3.5: a sandbox is made again before the old one is gone.
    @Test func sandboxRecreation() async throws {
        let (old, new) = (try bench.pod(), try bench.pod())
        let pods = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
        let first = try await bench.call("ADD", "old", namespace: old, arguments: pods)
        let second = try await bench.call("ADD", "new", namespace: new, arguments: pods)
        #expect(first.status == 0)
        #expect(second.status == 0, "\(second.output)")
        #expect(first.addresses != second.addresses)
        for namespace in [old, nil] {
            #expect(try await bench.call("DEL", "old", namespace: namespace, arguments: pods).status == 0)
            #expect(try await bench.recordedAddresses() == second.addresses)
            #expect(try await bench.assignedAddresses() == second.addresses)
            #expect(try bench.hostRoutes() == second.addresses)
            #expect(try bench.podAddresses(new) == second.addresses)
        }
        let previous = bench.configuration(extra: #", "prevResult": \#(second.output)"#)
        #expect(try await bench.call("CHECK", "new", namespace: new, arguments: pods, previous).status == 0)
        #expect(try await bench.call("DEL", "new", namespace: new, arguments: pods).status == 0)
        try await expectNothingLeft()
    }

    @Test func chained() async throws {
        let pod = try bench.pod()
        let before =
            #"{"interfaces": [{"name": "dummy0"}], "ips": [{"address": "192.0.2.1/24", "interface": 0}], "dns": {"domain": "d"}}"#
        let configuration = bench.configuration(extra: #", "prevResult": \#(before)"#)
        let added = try await bench.call("ADD", "c1", namespace: pod, configuration)
        #expect(added.status == 0, "\(added.output)")
        #expect(added.addresses.first == "192.0.2.1")
        #expect((added.json["ips"] as? [[String: Any]])?.map { $0["interface"] as? Int } == [0, 2])
        #expect((added.json["dns"] as? [String: Any])?["domain"] as? String == "d")
        let previous = bench.configuration(extra: #", "prevResult": \#(added.output)"#)
        #expect(try await bench.call("CHECK", "c1", namespace: pod, previous).status == 0)
    }

    // MARK: What the runtime asks for

    @Test func requestedAddressMacAndDNS() async throws {
        let pod = try bench.pod()
        let extra =
            #", "runtimeConfig": {"ips": ["10.80.0.77/24"], "mac": "0a:58:00:00:00:01", "dns": {"servers": ["192.0.2.53"]}}"#
        let added = try await bench.call(
            "ADD",
            "c1",
            namespace: pod,
            arguments: "IP=10.80.0.99",
            bench.configuration(extra: extra)
        )
        #expect(added.addresses == ["10.80.0.77"], "\(added.output)")
        #expect(
            try bench.ip("link", "show", "dev", "eth0", in: pod).first?["address"] as? String == "0a:58:00:00:00:01"
        )
        #expect((added.json["dns"] as? [String: Any])?["nameservers"] as? [String] == ["192.0.2.53"])

        let other = try bench.pod()
        let taken = try await bench.call("ADD", "c2", namespace: other, arguments: "IP=10.80.0.77")
        #expect(taken.code == 101, "\(taken.output)")
        let outside = try await bench.call("ADD", "c2", namespace: other, arguments: "IP=192.0.2.1")
        #expect(outside.code == 101, "\(outside.output)")
        #expect(try await bench.assignedAddresses() == ["10.80.0.77"])
        #expect(try bench.ip("link", in: other).count == 1)
    }

    @Test func mtuFile() async throws {
        let pod = try bench.pod()
        try FileManager.default.createDirectory(atPath: bench.dataDirectory, withIntermediateDirectories: true)
        try "1234\n".write(toFile: bench.dataDirectory + "/mtu", atomically: true, encoding: .utf8)
        let added = try await bench.call("ADD", "c1", namespace: pod)
        #expect(added.status == 0, "\(added.output)")
        #expect(try bench.ip("link", "show", "dev", "eth0", in: pod).first?["mtu"] as? Int == 1234)
    }

    /// 1.1: `num_queues` and `container_settings`, as the kernel tells them; written either way.
    @Test(arguments: [true, false])
    func queuesAndForwarding(_ forwards: Bool) async throws {
        let pod = try bench.pod()
        for family in ["ipv4.ip_forward", "ipv6.conf.all.forwarding"] {
            try bench.inside(pod, "sysctl", "-qw", "net.\(family)=\(forwards ? 0 : 1)")
        }
        let members = #", "num_queues": 3, "container_settings": {"allow_ip_forwarding": \#(forwards)}"#
        let added = try await bench.call("ADD", "c1", namespace: pod, bench.configuration(ipv6: true, extra: members))
        #expect(added.status == 0, "\(added.output)")
        let host = try #require(try bench.hostLinks().first)
        for link in [try bench.ip("link", "show", "dev", "eth0", in: pod), try bench.ip("link", "show", "dev", host)] {
            #expect(link.first?["num_tx_queues"] as? Int == 3)
            #expect(link.first?["num_rx_queues"] as? Int == 3)
        }
        for family in ["ipv4.ip_forward", "ipv6.conf.all.forwarding"] {
            #expect(try bench.inside(pod, "sysctl", "-n", "net.\(family)") == (forwards ? "1\n" : "0\n"))
        }
    }

    /// With its own IPAM the plugin starts no other program: none of those that lie in its way is touched.
    @Test func startsNoOtherProgram() async throws {
        let traps = bench.directory + "/traps"
        let marker = bench.directory + "/started"
        try FileManager.default.createDirectory(atPath: traps, withIntermediateDirectories: true)
        for name in ["swiftlet", "swiftlet-ipam", "host-local", "ip", "nft", "iptables", "sysctl", "modprobe", "sh"] {
            try "#!/bin/sh\ntouch \(marker)\n".write(toFile: traps + "/" + name, atomically: true, encoding: .utf8)
            chmod(traps + "/" + name, 0o755)
        }
        let pod = try bench.pod()
        for command in ["ADD", "CHECK", "DEL", "STATUS", "VERSION"] {
            var environment = bench.environment(command, "c1", namespace: pod)
            (environment["CNI_PATH"], environment["PATH"]) = (traps, traps)
            _ = try await bench.run(
                environment,
                stdin: bench.configuration(extra: #", "prevResult": {"cniVersion": "1.0.0"}"#)
            )
        }
        #expect(!FileManager.default.fileExists(atPath: marker))
    }

    // MARK: Refusals

    /// What fails has a code and changes nothing.
    @Test func refusalsChangeNothing() async throws {
        let pod = try bench.pod()
        struct Case {
            var command = "ADD"
            var container = "c1"
            var interface = "eth0"
            var arguments = ""
            var namespace: String?
            var configuration: String?
            let code: Int
        }
        let host = "/run/netns/\(bench.name)"
        let file = bench.directory + "/file"
        try "x".write(toFile: file, atomically: true, encoding: .utf8)
        let cases = [
            Case(configuration: "", code: 6), Case(configuration: "{", code: 6), Case(configuration: "[]", code: 6),
            Case(configuration: "{}", code: 7),
            Case(configuration: String(repeating: "[", count: 100_000), code: 6),
            Case(configuration: bench.configuration(version: "9.0.0"), code: 1),
            Case(command: "CHECK", configuration: bench.configuration(version: "0.3.1"), code: 1),
            Case(command: "CHECK", code: 7),
            Case(command: "NONSENSE", code: 4), Case(container: "../../etc", code: 4), Case(interface: "a/b", code: 4),
            Case(arguments: "no-pair", code: 4), Case(arguments: "UNKNOWN=1", code: 4),
            Case(arguments: "IP=x", code: 4),
            Case(namespace: "/nonexistent", code: 8), Case(namespace: file, code: 8),
            Case(namespace: "/proc/self/ns/uts", code: 8),
            Case(namespace: bench.directory, code: 8), Case(namespace: host, code: 8),
            Case(configuration: bench.configuration(ipv4: false), code: 7),
            Case(configuration: bench.configuration(extra: #", "mtu": 1"#), code: 7),
            Case(configuration: bench.configuration(extra: #", "mtu": "big""#), code: 6),
            Case(configuration: bench.configuration(extra: #", "datastore_type": "postgres""#), code: 2),
            Case(configuration: bench.configuration(extra: #", "datastore_type": "etcdv3""#), code: 7),
            Case(configuration: bench.configuration(ipam: #", "type": "host-local""#), code: 7),
            Case(configuration: bench.configuration(ipam: #", "ipv4_pools": ["nowhere"]"#), code: 7),
            Case(configuration: bench.configuration(pools: #"{"name": "a", "cidr": "10.0.0.1/24"}"#), code: 7),
            Case(configuration: bench.configuration(pools: #"{"name": "a", "cidr": "ten"}"#), code: 6),
            Case(configuration: bench.configuration(pools: #"{"name": "a"}"#), code: 6),
            Case(configuration: bench.configuration(pools: "3"), code: 6),
            Case(configuration: bench.configuration(extra: #", "prevResult": {"ips": [{"address": "x"}]}"#), code: 6),
            Case(
                configuration: bench.configuration(extra: #", "runtimeConfig": {"mac": "01:00:00:00:00:00"}"#),
                code: 7
            ),
            Case(configuration: bench.configuration(extra: #", "nodename": "a/b""#), code: 7),
        ]
        for c in cases {
            let outcome = try await bench.call(
                c.command,
                c.container,
                namespace: c.namespace ?? pod,
                interface: c.interface,
                arguments: c.arguments,
                c.configuration
            )
            #expect(outcome.status == 1, "\(c)")
            #expect(outcome.code == c.code, "\(c): \(outcome.output)")
            #expect((outcome.json["msg"] as? String)?.isEmpty == false)
            #expect(outcome.json["cniVersion"] is String)
            try await expectNothingLeft()
        }
        #expect(try bench.ip("link", in: pod).count == 1)
    }

    @Test func missingVariablesAreAllNamed() async throws {
        let outcome = try await bench.run(["CNI_COMMAND": "ADD"], stdin: bench.configuration())
        #expect(outcome.status == 1)
        #expect(outcome.code == 4)
        #expect(
            outcome.json["msg"] as? String == "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing"
        )
    }

    @Test func existingInterfaceIsLeftAlone() async throws {
        let pod = try bench.pod()
        try Bench.run("ip", "-n", Bench.namespace(pod), "link", "add", "eth0", "type", "veth", "peer", "peer0")
        let outcome = try await bench.call("ADD", "c1", namespace: pod)
        #expect(outcome.code == 7, "\(outcome.output)")
        #expect(try bench.ip("link", "show", "dev", "eth0", in: pod).count == 1)
        try await expectNothingLeft()
        #expect(try await bench.call("DEL", "c1", namespace: pod).status == 0)
        #expect(try bench.ip("link", "show", "dev", "eth0", in: pod).count == 1)
    }

    @Test func exhaustionLeavesNothing() async throws {
        let configuration = bench.configuration(pools: #"{"name": "tiny", "cidr": "10.81.0.0/31", "blockSize": 31}"#)
        let pods = try (0..<3).map { _ in try bench.pod() }
        #expect(try await bench.call("ADD", "c0", namespace: pods[0], configuration).status == 0)
        #expect(try await bench.call("ADD", "c1", namespace: pods[1], configuration).status == 0)
        let third = try await bench.call("ADD", "c2", namespace: pods[2], configuration)
        #expect(third.code == 100, "\(third.output)")
        #expect(try bench.ip("link", in: pods[2]).count == 1)
        #expect(try bench.hostLinks().count == 2)
        #expect(try await bench.assignedAddresses() == ["10.81.0.0", "10.81.0.1"])
        #expect(try await bench.call("DEL", "c0", namespace: pods[0], configuration).status == 0)
        #expect(try await bench.call("ADD", "c2", namespace: pods[2], configuration).status == 0)
    }

    @Test func dualStackIsAllOrNothing() async throws {
        let configuration = bench.configuration(
            ipv6: true,
            pools: #"{"name": "tiny", "cidr": "fd81::/128", "blockSize": 128}, \#(Bench.pool4)"#
        )
        let (first, second) = (try bench.pod(), try bench.pod())
        let added = try await bench.call("ADD", "c1", namespace: first, configuration)
        #expect(added.addresses.count == 2, "\(added.output)")
        #expect(try await bench.call("ADD", "c2", namespace: second, configuration).code == 100)
        #expect(try await bench.assignedAddresses() == added.addresses.sorted())
    }

    @Test func deleteOfAnythingUnknownSucceeds() async throws {
        let pod = try bench.pod()
        for namespace in [pod, nil, "", "/nonexistent/x", bench.directory, "/proc/self/ns/uts"] {
            let outcome = try await bench.call("DEL", "unknown", namespace: namespace)
            #expect(outcome.status == 0, "\(String(describing: namespace)): \(outcome.output)")
            #expect(outcome.output == "")
        }
        // D7, D8: with less of a configuration than ADD had.
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let less =
            #"{"cniVersion": "1.0.0", "name": "pods", "data_dir": "\#(bench.dataDirectory)", "nodename": "node-1"}"#
        try bench.removePod(pod)
        #expect(try await bench.call("DEL", "c1", namespace: pod, less).status == 0)
        try await expectNothingLeft()
    }

    /// A node that comes over from Calico: its plugin notes neither interface nor network, and marks no link. DEL takes back
    /// all the same, and GC of what it cannot know keeps its hands off.
    @Test func whatCalicoAttachedIsDetached() async throws {
        let pod = try bench.pod()
        let pods = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
        let added = try await bench.call("ADD", "c1", namespace: pod, arguments: pods)
        #expect(added.status == 0, "\(added.output)")
        let records = try await bench.store.list(.resources(.workloadEndpoints)) + bench.store.list(.blocks(.ipv4))
        for record in records {
            var text = String(decoding: record.value, as: UTF8.self)
            for ours in [#""swiftlet.io/network":"pods""#, #""ifname":"eth0","#, #""network":"pods","#] {
                text = text.replacingOccurrences(of: ours, with: "")
            }
            #expect(!text.contains("swiftlet.io") && !text.contains("ifname"), "\(text)")
            _ = try await bench.store.commit([.update(record.key, Data(text.utf8), record.revision)])
        }
        let host = try #require(try bench.hostLinks().first)
        try Bench.run("ip", "-n", bench.name, "link", "set", host, "alias", "")
        let collected = try await bench.run(
            ["CNI_COMMAND": "GC"],
            stdin: bench.configuration(extra: #", "cni.dev/valid-attachments": []"#)
        )
        #expect(collected.status == 0, "\(collected.output)")
        #expect(try await bench.assignedAddresses() == added.addresses)
        #expect(try bench.podAddresses(pod) == added.addresses)
        let deleted = try await bench.call("DEL", "c1", namespace: pod, arguments: pods)
        #expect(deleted.status == 0, "\(deleted.output)")
        try await expectNothingLeft()
        #expect(try bench.ip("link", in: pod).count == 1)
    }

    /// Names as long as they may be, and longer than anything that can be stored.
    @Test func longNames() async throws {
        let pod = try bench.pod()
        let longPod =
            "K8S_POD_NAMESPACE=\(String(repeating: "n", count: 63));K8S_POD_NAME=\(String(repeating: "a-", count: 126))p"
        let longID = String(repeating: "f", count: 64)
        let added = try await bench.call("ADD", longID, namespace: pod, arguments: longPod)
        #expect(added.status == 0, "\(added.output)")
        #expect(try await bench.recordedAddresses() == added.addresses)
        #expect(try await bench.call("DEL", longID, namespace: pod, arguments: longPod).status == 0)
        try await expectNothingLeft()

        let endless = String(repeating: "f", count: 1000)
        let refused = try await bench.call("ADD", endless, namespace: pod)
        #expect(refused.code == 7, "\(refused.output)")
        let deleted = try await bench.call("DEL", endless, namespace: pod)
        #expect(deleted.status == 0, "\(deleted.output)")
        try await expectNothingLeft()
        #expect(try bench.ip("link", in: pod).count == 1)
    }

    /// The host ends of containers whose IDs start alike have different names, and CHECK knows which is whose.
    @Test func checkOfContainersWithSimilarIDs() async throws {
        for container in ["my-container-1", "my-container-2"] {
            let pod = try bench.pod()
            let added = try await bench.call("ADD", container, namespace: pod)
            let previous = bench.configuration(extra: #", "prevResult": \#(added.output)"#)
            let checked = try await bench.call("CHECK", container, namespace: pod, previous)
            #expect(checked.status == 0, "\(checked.output)")
        }
    }

    @Test func checkTellsWhatIsWrong() async throws {
        let pod = try bench.pod()
        let added = try await bench.call("ADD", "c1", namespace: pod)
        let previous = bench.configuration(extra: #", "prevResult": \#(added.output)"#)
        let address = try #require(added.addresses.first)
        let namespace = Bench.namespace(pod)
        try Bench.run("ip", "-n", namespace, "route", "del", "default")
        let routeless = try await bench.call("CHECK", "c1", namespace: pod, previous)
        #expect(routeless.code == 104, "\(routeless.output)")
        // K3: what others add is none of our business.
        try Bench.run("ip", "-n", namespace, "route", "add", "default", "via", "169.254.1.1", "dev", "eth0")
        try Bench.run("ip", "-n", namespace, "addr", "add", "192.0.2.9/32", "dev", "eth0")
        let healed = try await bench.call("CHECK", "c1", namespace: pod, previous)
        #expect(healed.status == 0, "\(healed.output)")
        try Bench.run("ip", "-n", namespace, "addr", "del", "\(address)/32", "dev", "eth0")
        let outcome = try await bench.call("CHECK", "c1", namespace: pod, previous)
        #expect(outcome.code == 104, "\(outcome.output)")
        #expect((outcome.json["details"] as? String)?.contains(address) == true)
    }

    @Test func withoutRootThereIsOneSentence() async throws {
        let pod = try bench.pod()
        // The program that was built may lie where only root can reach it.
        chmod(bench.directory, 0o755)
        try FileManager.default.copyItem(atPath: Bench.program, toPath: bench.directory + "/copy")
        let outcome = try await bench.run(
            plugin: "copy",
            bench.environment("ADD", "c1", namespace: pod),
            stdin: bench.configuration(),
            asUser: 65534
        )
        #expect(outcome.status == 1)
        #expect((outcome.json["msg"] as? String)?.hasPrefix("swiftlet must run as root (CAP_NET_ADMIN") == true)
    }

    @Test func corruptStoreIsToldAndTheLinkGoes() async throws {
        let pod = try bench.pod()
        #expect(try await bench.call("ADD", "c1", namespace: pod).status == 0)
        let damaged = try bench.damageStore()
        #expect(damaged > 0)
        let outcome = try await bench.call("DEL", "c1", namespace: pod)
        #expect([5, 6, 104].contains(outcome.code), "\(outcome.output)")
        #expect(try bench.hostLinks() == [])
        let other = try bench.pod()
        let added = try await bench.call("ADD", "c2", namespace: other)
        #expect([5, 6, 104].contains(added.code), "\(added.output)")
        #expect(try bench.hostLinks() == [])
    }
}
