import CNI
import ClusterClient
import Foundation
import IPAM
import JSON
import TestSupport
import Testing

@testable import CNIPlugin

/// Whatever stands in stdin, in the environment or in a store is understood, or refused with a code: no crash, no hang, no
/// 999. `SWIFTLET_FUZZ_INPUTS=5000000 swift test --filter FuzzTests` tries millions.
@Suite struct FuzzTests {
    /// Inputs of each kind.
    private static let count = HostileGenerator.number("SWIFTLET_FUZZ_INPUTS", 8000)

    static let configurations = [
        #"""
        {"cniVersion": "1.1.0", "name": "pods", "type": "swiftlet", "mtu": 1450, "num_queues": 2, "nodename": "node-1",
         "data_dir": "/nonexistent/x", "datastore_type": "local", "log_level": "debug", "log_file_max_size": 5,
         "ipam_lock_file": "/nonexistent/lock", "require_mtu_file": false, "del_mode": "journal",
         "readiness_gates": ["http://127.0.0.1:9099/readiness", "https://[::1]/a?b"], "policy_setup_timeout_seconds": 5,
         "endpoint_status_dir": "/nonexistent/status", "dataplane_options": {"type": "linux"},
         "policy": {"type": "k8s", "k8s_api_root": "https://127.0.0.1", "k8s_auth_token": "t"},
         "add_timeout_seconds": 30, "container_settings": {"allow_ip_forwarding": true}, "include_default_routes": true,
         "feature_control": {"ip_addrs_no_ipam": true}, "device_type": "veth",
         "ipam": {"type": "swiftlet-ipam", "assign_ipv4": "true", "assign_ipv6": "false", "ipv4_pools": ["four"],
          "routes": [{"dst": "10.0.0.0/8", "gw": "10.0.0.1", "mtu": 1400, "priority": 5}],
          "pools": [{"name": "four", "cidr": "10.80.0.0/16", "blockSize": 26, "nodeSelector": "all()"}]},
         "args": {"cni": {"ips": ["10.80.0.9"]}},
         "runtimeConfig": {"ips": ["10.80.0.9/32"], "mac": "0a:58:00:00:00:01", "dns": {"servers": ["192.0.2.53"]},
          "io.kubernetes.cri.pod-annotations": {"cni.projectcalico.org/ipAddrs": "[\"10.80.0.9\"]",
           "cni.projectcalico.org/hwAddr": "0a:58:00:00:00:01", "cni.projectcalico.org/ipFamilies": "[\"IPv4\"]",
           "cni.projectcalico.org/floatingIPs": "[\"192.0.2.9\"]",
           "cni.projectcalico.org/allowedSourcePrefixes": "[\"192.0.2.0/24\"]",
           "cni.projectcalico.org/ipv4pools": "[\"four\"]"}},
         "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}
        """#,
        #"""
        {"cniVersion": "0.4.0", "name": "n", "datastore_type": "etcdv3", "etcd_endpoints": "http://127.0.0.1:2379",
         "prevResult": {"cniVersion": "0.4.0", "interfaces": [{"name": "cali1", "mac": "ee:ee:ee:ee:ee:ee"},
          {"name": "eth0", "sandbox": "/run/netns/x"}], "ips": [{"version": "4", "interface": 1,
          "address": "10.80.0.1/32", "gateway": "10.80.0.2"}], "routes": [{"dst": "0.0.0.0/0"}],
          "dns": {"nameservers": ["192.0.2.53"], "search": ["a"], "options": ["b"]}}}
        """#,
        #"""
        {"cniVersion": "0.2.0", "name": "n", "datastore_type": "kubernetes", "kubernetes": {"kubeconfig": "/x"},
         "prevResult": {"ip4": {"ip": "10.0.0.1/32", "gateway": "10.0.0.2", "routes": [{"dst": "0.0.0.0/0"}]},
          "ip6": {"ip": "fd00::1/64"}}, "ipam": {"type": "host-local", "subnet": "10.0.0.0/24"}}
        """#,
    ].map(HostileGenerator.parse)

    /// That an error can be told: JSON with a code that means something, which can be read back.
    private static func tell(_ error: CNIError, _ input: @autoclosure () -> String) {
        let text = error.json(version: .latest).text()
        let told = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any]
        let code = told?["code"] as? Int
        if code == nil || code == 999 || told?["msg"] as? String == nil {
            Issue.record("\(text) for \(input())")
        }
    }

    /// What the plugin makes of a configuration before it does anything.
    private static func read(_ text: [UInt8], _ arguments: CNIArguments) throws(CNIError) {
        let configuration = try NetworkConfiguration(text)
        let reader = configuration.reader
        let settings = try StoreSettings(reader)
        _ = try LogSettings(reader)
        _ = try NodeSettings(reader).resolve()
        _ = try DeleteMode(reader)
        _ = try TimeSettings(reader)
        _ = try ReadinessGates(reader)
        _ = try PolicySetup(reader)
        _ = try configuration.validAttachments()
        let previous = try configuration.previousResult()
        for version in SpecVersion.allCases { _ = try? previous?.json(version: version).text(indentation: 4) }
        let runtime = try configuration.runtimeConfiguration()
        let annotations = try PodAnnotations(
            pod: runtime.podAnnotations ?? [:],
            namespace: runtime.podAnnotations ?? [:]
        )
        let wanted = try AddressSettings(configuration, arguments: arguments, annotations: annotations)
        _ = try LinkSettings(reader, mtuFile: settings.mtuFile, hasIPv6: wanted.families.contains(.ipv6))
        _ = try RouteSettings(configuration).routes(granted: [], wanted.families)
        _ = try BlockAddressSource.configuredPools(configuration)
        _ = try IPAMDelegate(required: configuration, path: ["/nonexistent"])
    }

    @Test func configurations() {
        var generator = HostileGenerator(seed: HostileGenerator.seed)
        var understood = 0
        for number in 0..<Self.count {
            let seed = Self.configurations[Int(number) % Self.configurations.count]
            var text = Array(generator.changed(seed, one: 40).text().utf8)
            if number.isMultiple(of: 3) { text = generator.changed(text) }
            _ = SpecVersion.reply(toStdin: text)
            do throws(CNIError) {
                try Self.read(text, .none)
                understood += 1
            } catch {
                Self.tell(error, String(decoding: text, as: UTF8.self))
            }
        }
        #expect(understood > 0 || Self.count < 1000)
        #expect(understood < Self.count)
    }

    @Test func environments() {
        var generator = HostileGenerator(seed: HostileGenerator.seed &+ 1)
        let usual = [
            "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0",
            "CNI_PATH": "/opt/cni/bin:relative::", "CNI_NETNS_OVERRIDE": "0",
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;IP=10.80.0.9",
        ]
        let names = usual.keys.sorted()
        let commands = Command.allCases.map(\.rawValue)
        var understood = 0
        for _ in 0..<Self.count {
            var environment = usual
            environment["CNI_COMMAND"] = commands.randomElement(using: &generator.random)
            for name in names where generator.chance(6) {
                switch Int.random(in: 0..<3, using: &generator.random) {
                case 0: environment[name] = nil
                case 1: environment[name] = generator.word()
                default:
                    let text = Array((usual[name] ?? "").utf8)
                    environment[name] = String(decoding: generator.changed(text), as: UTF8.self)
                }
            }
            do throws(CNIError) {
                switch try Invocation(environment: environment) {
                case .add(let attachment, _), .delete(let attachment, _), .check(let attachment, _):
                    _ = try attachment.arguments.requestedAddress()
                    let key = Workload(attachment).endpointKey(node: "n", interfaceName: attachment.id.interfaceName)
                    #expect(!key.description.isEmpty)
                default: break
                }
                understood += 1
            } catch {
                Self.tell(error, "\(environment)")
            }
        }
        #expect(understood > 0 && understood < Self.count)
    }

    // MARK: Records

    private static let endpoint = HostileGenerator.parse(
        #"""
        {"kind": "WorkloadEndpoint", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "n", "namespace": "shop",
         "annotations": {"swiftlet.io/network": "pods", "swiftlet.io/ipam": "host-local",
          "swiftlet.io/ipam-result": "{\"cniVersion\":\"1.1.0\",\"ips\":[{\"address\":\"10.0.0.1/32\"}]}"}},
         "spec": {"orchestrator": "k8s", "pod": "web-0", "node": "node-1", "containerID": "c1", "endpoint": "eth0",
          "ipNetworks": ["10.80.0.1/32"], "interfaceName": "cali1", "mac": "0a:58:00:00:00:01"}}
        """#
    )
    private static let block = HostileGenerator.parse(
        #"""
        {"cidr": "10.80.0.0/29", "affinity": "host:node-1", "allocations": [0, 1, null, null, null, null, null, null],
         "unallocated": [2, 3, 4, 5, 6, 7], "attributes": [{"handle_id": "pods.c1", "secondary": {"node": "node-1",
          "ifname": "eth0"}}, {"releasedAt": "2026-11-20T08:14:03Z"}], "sequenceNumber": 7,
         "sequenceNumberForAllocation": {"0": 5, "1": 6}, "deleted": false, "strictAffinity": false}
        """#
    )
    private static let handle = HostileGenerator.parse(
        #"{"id": "pods.c1", "block": {"10.80.0.0/29": 1, "fd80::/122": 2}, "deleted": false}"#
    )
    private static let pool = HostileGenerator.parse(
        #"""
        {"kind": "IPPool", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "four"},
         "spec": {"cidr": "10.80.0.0/24", "blockSize": 26, "nodeSelector": "has(x) && y in {'a'}", "disabled": false,
          "allowedUses": ["Workload"], "assignmentMode": "Automatic"}}
        """#
    )
    private static let pending = HostileGenerator.parse(
        #"""
        {"network": "pods", "containerID": "c1", "ifname": "eth0", "node": "node-1", "store": "local", "pod": "web-0",
         "namespace": "shop", "time": "2026-11-20T08:14:03Z", "sequenceNumbers": {"10.80.0.1": 5}}
        """#
    )

    @Test func records() throws {
        var generator = HostileGenerator(seed: HostileGenerator.seed &+ 2)
        let key = RecordKey.resource(.workloadEndpoints, namespace: "shop", name: "n")
        let cidr = try #require(CIDRs.block)
        var understood = 0
        func read(_ seed: JSONValue, _ body: (Data) throws -> Void) {
            var text = Array(generator.changed(seed, one: 40).text().utf8)
            if generator.chance(3) { text = generator.changed(text) }
            do {
                try body(Data(text))
                understood += 1
            } catch {
                Self.tell(CNIError(any: error), String(decoding: text, as: UTF8.self))
            }
        }
        func record(_ key: RecordKey, _ data: Data) -> Record {
            Record(key: key, value: data, revision: Revision("1"))
        }
        for _ in 0..<Self.count / 4 {
            read(Self.endpoint) { data in
                let endpoint = try WorkloadEndpoint(record: record(key, data))
                if case .plugin(_, let result) = endpoint.source { _ = try NetworkResult(text: result) }
                _ = endpoint.json(uid: "u", created: "c").text()
            }
            read(Self.block) { data in _ = try Block(record(.block(cidr), data)) }
            read(Self.pool) { data in _ = try IPPool(record(.resource(.ipPools, name: "four"), data)).problem }
            read(Self.pending) { data in _ = try PendingRelease(Array(data)).json.text() }
        }
        for _ in 0..<Self.count / 4 {
            let text = generator.changed(Array(Self.handle.text().utf8))
            _ = try? Handle(json: Data(text))
        }
        #expect(understood > 0)
    }
}
