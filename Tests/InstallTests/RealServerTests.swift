import Foundation
import JSON
import Netlink
import NetworkTypes
import TestSupport
import Testing

/// The manifests and the programs with a real kube-apiserver, where the environment variable `KUBE_APISERVER` names one.
@Suite(
    .enabled(
        if: KubeAPIServer.isGiven && ClusterUnderTest.hasKubectl && isRoot,
        "KUBE_APISERVER is not set, kubectl is not installed, or this is not root"
    )
)
struct RealServerTests {
    /// A server onto which the manifests were applied.
    private struct Cluster {
        let server: KubeAPIServer
        let directory: TemporaryDirectory

        init() async throws {
            directory = try TemporaryDirectory()
            server = try await KubeAPIServer()
            try server.writeKubeconfig(to: directory.path + "/admin", token: server.administratorToken)
        }

        func kubectl(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(
                "kubectl",
                ["--cache-dir=\(directory.path)/cache"] + arguments,
                environment: ["HOME": directory.path, "KUBECONFIG": directory.path + "/admin"]
            )
        }

        /// The manifests as this server can take them, in a directory.
        func manifests() throws -> String {
            let target = directory.path + "/manifests"
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            for name in try FileManager.default.contentsOfDirectory(atPath: ClusterUnderTest.manifests)
            where name.hasSuffix(".yaml") {
                var text = try String(contentsOfFile: "\(ClusterUnderTest.manifests)/\(name)", encoding: .utf8)
                if server.minor < 22 {
                    text = text.replacing("maxSurge: 1", with: "").replacing(
                        "maxUnavailable: 0",
                        with: "maxUnavailable: 1"
                    )
                }
                try text.write(toFile: "\(target)/\(name)", atomically: true, encoding: .utf8)
            }
            return target
        }

        func install() async throws {
            let applied = try await kubectl("apply", "-f", try manifests())
            try #require(applied.status == 0, "\(applied.output) \(applied.errors)")
            for name in [
                "ippools", "ipamblocks", "ipamhandles", "blockaffinities", "ipamconfigs", "clusterinformations",
            ] {
                let isServed = try await eventually {
                    (try? await server.request("GET", "/apis/crd.projectcalico.org/v1/\(name)")) != nil
                }
                try #require(isServed, "\(name)")
            }
        }

        /// A kubeconfig with a token of the account.
        func admit(_ account: String) async throws -> String {
            let path = "\(directory.path)/\(account)"
            try server.writeKubeconfig(to: path, token: try await server.token(of: account))
            return path
        }

        /// What an account asked that was not answered with success: verb, resource and code.
        func refusals(of account: String) throws -> Set<String> {
            var refusals: Set<String> = []
            for line in server.audit {
                let event = try JSONValue(parsing: Array(line.utf8).span)
                let object = event["objectRef"]
                guard event["user"]["username"].text == "system:serviceaccount:kube-system:\(account)",
                    case .number(let code) = event["responseStatus"]["code"], code.first != "2"
                else { continue }
                refusals.insert("\(event["verb"].text) \(object["resource"].text) \(code)")
            }
            return refusals
        }
    }

    @Test func theServerTakesTheManifests() async throws {
        let cluster = try await Cluster()
        let manifests = try cluster.manifests()
        let applied = try await cluster.kubectl("apply", "-f", manifests)
        #expect(applied.status == 0, "\(applied.output) \(applied.errors)")
        #expect(applied.output.split(separator: "\n").allSatisfy { $0.hasSuffix(" created") }, "\(applied.output)")
        let again = try await cluster.kubectl("apply", "-f", manifests)
        #expect(again.status == 0, "\(again.errors)")
        let changed = again.output.split(separator: "\n").filter { !$0.hasSuffix(" unchanged") }
        // Before 1.21 a server drops the time after which a job goes away.
        #expect(changed == (cluster.server.minor < 21 ? ["job.batch/swiftlet-pools configured"] : []))
        let uninstall = try await cluster.kubectl("apply", "-f", ClusterUnderTest.manifests + "/uninstall")
        #expect(uninstall.status == 0, "\(uninstall.errors)")
        let deleted = try await cluster.kubectl(
            "delete",
            "--wait=false",
            "-f",
            ClusterUnderTest.manifests + "/uninstall",
            "-f",
            manifests
        )
        #expect(deleted.status == 0, "\(deleted.errors)")
    }

    /// The accounts of the manifests, with tokens of their own, may do all that the programs do, and each request is one
    /// that a real server takes.
    @Test func theProgramsAreServed() async throws {
        let cluster = try await Cluster()
        try await cluster.install()
        let server = cluster.server
        try await server.request("POST", "/api/v1/nodes", #"{"metadata":{"name":"node-1","labels":{"zone":"a"}}}"#)
        try await server.request("POST", "/api/v1/namespaces", #"{"metadata":{"name":"shop"}}"#)
        for name in ["web", "api"] {
            try await server.request(
                "POST",
                "/api/v1/namespaces/shop/pods",
                #"""
                {"metadata":{"name":"\#(name)","annotations":{"cni.projectcalico.org/ipv4pools":"[\"default-ipv4\"]"}},
                 "spec":{"nodeName":"node-1","containers":[{"name":"c","image":"i"}]}}
                """#
            )
        }
        let pools = cluster.directory.path + "/pools.yaml"
        try """
        apiVersion: projectcalico.org/v3
        kind: IPPool
        metadata: {name: default-ipv4}
        spec: {cidr: 10.80.0.0/16, blockSize: 26, nodeSelector: has(zone)}
        """.write(toFile: pools, atomically: true, encoding: .utf8)
        let create = ["create", "--skip-existing", "-f", pools]
        #expect(try await control(cluster, "swiftlet-pools", create).output == "ippool/default-ipv4 created\n")
        #expect(try await control(cluster, "swiftlet-pools", create).output == "ippool/default-ipv4 exists already\n")

        try await attachAndDetach(cluster)
        #expect(try cluster.refusals(of: "swiftlet-pools") == ["get ippools 404", "get clusterinformations 404"])
        // Of what is not there yet: a block, an affinity, a handle; the settings.
        #expect(
            try cluster.refusals(of: "swiftlet").subtracting([
                "get ipamblocks 404", "get blockaffinities 404", "get ipamhandles 404", "get ipamconfigs 404",
                "get clusterinformations 404", "create ipamblocks 409", "create blockaffinities 409",
            ]) == []
        )

        let collected = try await control(cluster, "swiftlet-collector", ["ipam", "gc", "--grace", "1"])
        #expect(collected.status == 0, "\(collected.output) \(collected.errors)")
        #expect(try cluster.refusals(of: "swiftlet-collector").subtracting(["get ipamconfigs 404"]) == [])
    }

    /// Runs `swiftletctl` with the rights of an account, or of an administrator.
    private func control(
        _ cluster: Cluster,
        _ account: String?,
        _ arguments: [String]
    ) async throws -> Command.Outcome {
        let kubeconfig = if let account { try await cluster.admit(account) } else { cluster.directory.path + "/admin" }
        return try await Command.run(
            ChildProcess.sibling("swiftletctl"),
            arguments,
            environment: ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": kubeconfig]
        )
    }

    /// The verbs of the plugin for two pods, one of which is never deleted by its runtime.
    private func attachAndDetach(_ cluster: Cluster) async throws {
        let kubeconfig = try await cluster.admit("swiftlet")
        let host = try NetworkNamespace.makeHost()
        let relay = try LoopbackRelay(port: cluster.server.port, in: host)
        let pod = try NetworkNamespace.makeContainer()
        func call(_ command: String, _ name: String, extra: String = "") async throws -> Command.Outcome {
            let outcome = try await Command.run(
                "nsenter",
                ["--net=\(host.descriptorPath)", ChildProcess.sibling("swiftlet")],
                environment: [
                    "CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
                    "CNI_NETNS": pod.descriptorPath,
                    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(name)",
                ],
                input: """
                    {"cniVersion":"1.1.0","name":"swiftlet","type":"swiftlet","datastore_type":"kubernetes",
                     "nodename":"node-1","data_dir":"\(cluster.directory.path)/data",
                     "kubernetes":{"kubeconfig":"\(kubeconfig)"},
                     "ipam":{"type":"swiftlet-ipam","assign_ipv4":"true"}\(extra)}
                    """
            )
            #expect(outcome.status == 0, "\(command) \(name): \(outcome.output) \(outcome.errors)")
            return outcome
        }
        _ = try await call("STATUS", "")
        let added = try await call("ADD", "web")
        #expect(try await call("ADD", "web").output == added.output)
        let annotations = try JSONValue(
            parsing: Array(try await cluster.server.request("GET", "/api/v1/namespaces/shop/pods/web").utf8).span
        )["metadata"]["annotations"]
        #expect(annotations["cni.projectcalico.org/podIP"].text.hasPrefix("10.80."), "\(annotations)")
        #expect(annotations["cni.projectcalico.org/containerID"] == "web")
        _ = try await call("CHECK", "web", extra: #","prevResult":\#(added.output)"#)
        _ = try await call("DEL", "web")
        _ = try await call("DEL", "web")
        _ = try await call("ADD", "api")
        let used = try await control(cluster, nil, ["ipam", "show"])
        #expect(used.output.contains(" 1 (0%)"), "\(used.output) \(used.errors)")
        _ = try await call("GC", "", extra: #","cni.dev/valid-attachments":[]"#)
        let left = try await control(cluster, nil, ["ipam", "show"])
        #expect(left.output.contains(" 0 (0%)"), "\(left.output) \(left.errors)")
        withExtendedLifetime(relay) {}
    }

    /// The proxy lists, watches, and writes its event; a change at the server is a change of the rules.
    @Test func theProxyFollowsTheServer() async throws {
        let cluster = try await Cluster()
        try await cluster.install()
        let server = cluster.server
        try await server.request("POST", "/api/v1/nodes", #"{"metadata":{"name":"node-1"}}"#)
        try await server.request(
            "PUT",
            "/api/v1/nodes/node-1/status",
            #"{"metadata":{"name":"node-1"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}"#
        )
        try await server.request(
            "POST",
            "/api/v1/namespaces/default/services",
            #"{"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.80","ports":[{"port":80,"targetPort":8080}]}}"#
        )
        // Where a server has EndpointSlices of version 1, they are what counts.
        let hasSlices = server.minor >= 21
        func publish(_ method: String, _ address: String) async throws {
            if hasSlices {
                try await server.request(
                    method,
                    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices" + (method == "PUT" ? "/web-1" : ""),
                    """
                    {"metadata":{"name":"web-1","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",
                     "ports":[{"port":8080,"protocol":"TCP"}],"endpoints":[{"addresses":["\(address)"]}]}
                    """
                )
            } else {
                try await server.request(
                    method,
                    "/api/v1/namespaces/default/endpoints" + (method == "PUT" ? "/web" : ""),
                    """
                    {"metadata":{"name":"web"},
                     "subsets":[{"addresses":[{"ip":"\(address)"}],"ports":[{"port":8080}]}]}
                    """
                )
            }
        }
        if !hasSlices {
            // The rights are those for servers that the manifests are for.
            let rule = #"{"apiGroups":[""],"resources":["endpoints"],"verbs":["list","watch"]}"#
            try await server.request(
                "PATCH",
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/swiftlet-proxy",
                #"[{"op":"add","path":"/rules/-","value":\#(rule)}]"#
            )
        }
        try await publish("POST", "10.80.0.7")
        let kubeconfig = try await cluster.admit("swiftlet-proxy")
        let host = try NetworkNamespace.makeHost()
        let relay = try LoopbackRelay(port: server.port, in: host)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = try [
            "--net=\(host.descriptorPath)", ChildProcess.sibling("swiftlet-proxy"), "--kubeconfig=\(kubeconfig)",
            "--proxy-mode=nftables", "--hostname-override=node-1", "--snapshot=", "--socket=",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let log = cluster.directory.path + "/proxy.log"
        #expect(FileManager.default.createFile(atPath: log, contents: nil))
        process.standardError = FileHandle(forWritingAtPath: log)
        try await Command.start(process)
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        func serves(_ address: String) async throws -> Bool {
            try await eventually { (try? host.nft("list", "table", "ip", "swiftlet"))?.contains(address) == true }
        }
        let text = { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
        #expect(try await serves("10.80.0.7"), "\(text())")
        try await publish("PUT", "10.80.0.8")
        #expect(try await serves("10.80.0.8"), "\(text())")
        // Before 1.22 a server takes no event of this kind on a Node.
        if server.minor >= 22 {
            let event = try await eventually {
                try await server.request("GET", "/apis/events.k8s.io/v1/events").contains(#""reason":"Starting""#)
            }
            #expect(event, "\(text())")
        }
        process.terminate()
        #expect(try await eventually { !process.isRunning })
        // Older servers do not have all that is asked for: a list as a stream, ranges of Services, slices.
        var refusals = try cluster.refusals(of: "swiftlet-proxy")
        if server.minor < 32 { refusals = refusals.filter { !($0.hasPrefix("watch ") && $0.hasSuffix(" 422")) } }
        if server.minor < 33 { refusals = refusals.filter { !$0.hasSuffix(" servicecidrs 404") } }
        if server.minor < 22 { refusals.remove("create events 422") }
        if !hasSlices { refusals = refusals.filter { !$0.hasSuffix(" endpointslices 404") } }
        #expect(refusals == [])
        withExtendedLifetime(relay) {}
    }
}
