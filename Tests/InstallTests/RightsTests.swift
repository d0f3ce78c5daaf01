import ClusterClient
import Foundation
import IPAM
import JSON
import Netlink
import NetworkTypes
import Stores
import TestAPIServer
import TestSupport
import Testing

/// The programs on an API server that lets them do what the manifests' roles allow: that is enough, and none of it is too
/// much (K5).
@Suite(.enabled(if: ClusterUnderTest.hasKubectl && isRoot, "kubectl is not installed, or this is not root"))
struct RightsTests {
    /// What a role allows and the scenarios here do not get to: the plugin reads Pods' namespaces only for what is
    /// annotated there or selected by it; an event is patched when it comes again, half a minute later at the earliest.
    private static let rare: Set<Right> = [Right("get", "namespaces"), Right("patch", "events.events.k8s.io")]

    /// Compares a role with what its account did.
    private func check(_ user: String, _ account: String, _ cluster: ClusterUnderTest) async throws {
        let done = Set(cluster.server.requests.filter { $0.user.name == user }.compactMap(Right.init))
        let rights = try await Right.all(of: account, cluster)
        #expect(done.subtracting(rights).map(\.description).sorted() == [], "not allowed")
        #expect(rights.subtracting(done).subtracting(Self.rare).map(\.description).sorted() == [], "not needed")
    }

    @Test func thePluginMayDoWhatItDoes() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let user = try await cluster.admit("swiftlet", token: "plugin-token")
        // As install-cni puts plugin and token on a node.
        let root = cluster.directory.path + "/host"
        func install(token: String) async throws {
            let account = cluster.directory.path + "/account"
            try FileManager.default.createDirectory(atPath: account, withIntermediateDirectories: true)
            try token.write(toFile: account + "/token", atomically: true, encoding: .utf8)
            let authority = cluster.server.certificateAuthorityPEM
            try authority.write(toFile: account + "/ca.crt", atomically: true, encoding: .utf8)
            let installed = try await Command.run(
                Command.repository + "/scripts/install-cni",
                [
                    "--root=\(root)", "--plugin=\(ChildProcess.sibling("swiftlet"))", "--node=node-1",
                    "--datastore=kubernetes", "--service-account=\(account)", "--server=\(cluster.server.url)",
                ]
            )
            #expect(installed.status == 0, "\(installed.errors)")
        }
        try await install(token: "plugin-token")
        let kubeconfig = root + "/etc/cni/net.d/swiftlet-kubeconfig"
        try cluster.server.put(#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1","labels":{"zone":"a"}}}"#)
        func put(pool selector: String) throws {
            try cluster.server.put(
                """
                {"apiVersion":"crd.projectcalico.org/v1","kind":"IPPool","metadata":{"name":"default"},
                 "spec":{"cidr":"10.80.0.0/24","blockSize":28,"nodeSelector":"\(selector)"}}
                """
            )
        }
        try put(pool: "has(zone)")
        let host = try NetworkNamespace.makeHost()
        let relay = try LoopbackRelay(port: UInt16(cluster.server.port), in: host)
        let pod = try NetworkNamespace.makeContainer()
        for name in ["web", "api"] {
            try cluster.server.put(
                """
                {"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":"\(name)"},
                 "spec":{"nodeName":"node-1","containers":[{"name":"c","image":"i"}]}}
                """
            )
        }
        func call(_ command: String, _ name: String, extra: String = "") async throws -> Command.Outcome {
            let configuration = """
                {"cniVersion":"1.1.0","name":"swiftlet","type":"swiftlet","datastore_type":"kubernetes","nodename":"node-1",
                 "data_dir":"\(cluster.directory.path)/data","kubernetes":{"kubeconfig":"\(kubeconfig)"},
                 "ipam":{"type":"swiftlet-ipam","assign_ipv4":"true"}\(extra)}
                """
            let outcome = try await Command.run(
                "nsenter",
                ["--net=\(host.descriptorPath)", root + "/opt/cni/bin/swiftlet"],
                environment: [
                    "CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
                    "CNI_NETNS": pod.descriptorPath,
                    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(name)",
                ],
                input: configuration
            )
            #expect(outcome.status == 0, "\(command) \(name): \(outcome.output) \(outcome.errors)")
            return outcome
        }
        _ = try await call("STATUS", "")
        let added = try await call("ADD", "web")
        _ = try await call("ADD", "web")
        _ = try await call("CHECK", "web", extra: #","prevResult":\#(added.output)"#)
        _ = try await call("DEL", "web")
        // The token is replaced, and the old one ends.
        cluster.server.setToken("next-token", user: User(user))
        try await install(token: "next-token")
        cluster.server.setToken("plugin-token", user: nil)
        _ = try await call("ADD", "api")
        // The node loses its pool: with the last address its block goes.
        try put(pool: "has(elsewhere)")
        _ = try await call("GC", "", extra: #","cni.dev/valid-attachments":[]"#)
        try await check(user, "swiftlet", cluster)
        withExtendedLifetime(relay) {}
        await cluster.server.stop()
    }

    /// The job that makes the first pools, with the command of its manifest; a second time it changes nothing.
    @Test func theJobMayMakePools() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let user = try await cluster.admit("swiftlet-pools", token: "pools-token")
        let kubeconfig = cluster.directory.path + "/kubeconfig"
        try cluster.server.writeKubeconfig(to: kubeconfig, .token("pools-token"))
        let settings = try #require(try await cluster.objects("configmaps")["swiftlet"])
        let pools = cluster.directory.path + "/pools.yaml"
        try settings["data"]["pools.yaml"].text.write(toFile: pools, atomically: true, encoding: .utf8)
        let job = try #require(try await cluster.objects("jobs")["swiftlet-pools"])
        let command = job["spec"]["template"]["spec"]["containers"].array[0]["command"].array.map(\.text)
        func run() async throws -> Command.Outcome {
            try await Command.run(
                ChildProcess.sibling("swiftletctl"),
                command.dropFirst().map { $0 == "/etc/swiftlet/pools.yaml" ? pools : $0 },
                environment: ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": kubeconfig]
            )
        }
        #expect(try await run().output == "ippool/default-ipv4 created\n")
        #expect(try await run().output == "ippool/default-ipv4 exists already\n")
        // Where the cluster has been used before, another pool meets its record.
        try settings["data"]["pools.yaml"].text.replacing("default-ipv4", with: "second")
            .replacing("10.80.0.0/16", with: "10.81.0.0/16").write(toFile: pools, atomically: true, encoding: .utf8)
        #expect(try await run().output == "ippool/second created\n")
        try await check(user, "swiftlet-pools", cluster)
        await cluster.server.stop()
    }

    /// The collector, with the command of its manifest and a short grace period: leaks, handles that nobody has, blocks of
    /// a node that is gone.
    @Test func theCollectorMayDoWhatItDoes() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let user = try await cluster.admit("swiftlet-collector", token: "collector-token")
        let kubeconfig = cluster.directory.path + "/kubeconfig"
        try cluster.server.writeKubeconfig(to: kubeconfig, .token("collector-token"))
        try cluster.server.put(#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-a"}}"#)
        let environment = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": cluster.directory.path + "/admin"]
        let store = try StoreSelection(environment: environment).open(environment: environment, program: "test/1")
        var pool = IPPool(name: "default", spec: .init(cidr: try #require(CIDR("10.80.0.0/24")), blockSize: 28))
        // Of a block that becomes empty it is looked up whether its node is still selected.
        pool.spec.nodeSelector = "!has(retired)"
        try await IPAMAdministration(datastore: store).put(.pool(pool), existing: .refuse)
        for (node, handle) in [("node-a", "leaked"), ("node-gone", "of-a-node-that-is-gone")] {
            _ = try await Allocator(datastore: store, host: node).assign(
                request(handle) { $0.attributes["node"] = node }
            )
        }
        _ = try await store.commit([.create(.handle("orphan"), Handle(blocks: [:]).json)])
        // It has its address by its status alone, and keeps it.
        let kept = try await Allocator(datastore: store, host: "node-a").assign(request("kept"))[0].address
        try cluster.server.put(
            """
            {"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":"kept"},
             "spec":{"nodeName":"node-a","containers":[{"name":"c","image":"i"}]},
             "status":{"phase":"Running","podIP":"\(kept)","podIPs":[{"ip":"\(kept)"}]}}
            """
        )
        let deployment = try #require(try await cluster.objects("deployments")["swiftlet-collector"])
        let command = deployment["spec"]["template"]["spec"]["containers"].array[0]["command"].array.map(\.text)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try ChildProcess.sibling("swiftletctl"))
        process.arguments = command.dropFirst() + ["--grace", "1"]
        process.environment = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": kubeconfig]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try await Command.start(process)
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let collected = try await eventually {
            let (handles, blocks) = (try await store.keys(.handles), try await store.keys(.blocks(.ipv4)))
            return handles == [.handle("kept")] && blocks.count == 1
        }
        #expect(collected)
        process.terminate()
        #expect(try await eventually { !process.isRunning })
        #expect(!process.isRunning && process.terminationStatus == 0)
        try await check(user, "swiftlet-collector", cluster)
        await cluster.server.stop()
    }

    @Test func theProxyMayDoWhatItDoes() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let user = try await cluster.admit("swiftlet-proxy", token: "proxy-token")
        let kubeconfig = cluster.directory.path + "/kubeconfig"
        try cluster.server.writeKubeconfig(to: kubeconfig, .token("proxy-token"))
        try cluster.server.put(
            """
            {"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1"},
             "status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}
            """
        )
        // Where a streaming list is not served, pages are listed, and then watched.
        cluster.server.addFault(FaultRule(.status(422), query: "sendInitialEvents=true", count: nil))
        let settings = try #require(try await cluster.objects("configmaps")["swiftlet"])
        let configuration = cluster.directory.path + "/proxy.yaml"
        // In the Pod the service account's credentials are where they always are.
        let connection = "clientConnection:\n  kubeconfig: \(kubeconfig)\n"
        try (settings["data"]["proxy.yaml"].text + connection).write(
            toFile: configuration,
            atomically: true,
            encoding: .utf8
        )
        let host = try NetworkNamespace.makeHost()
        let relay = try LoopbackRelay(port: UInt16(cluster.server.port), in: host)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = try [
            "--net=\(host.descriptorPath)", ChildProcess.sibling("swiftlet-proxy"), "--config=\(configuration)",
            "--hostname-override=node-1", "--snapshot=", "--socket=",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try await Command.start(process)
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let started = try await eventually {
            let done = Set(cluster.server.requests.filter { $0.user.name == user }.compactMap(Right.init))
            return done.contains(Right("create", "events.events.k8s.io"))
                && ["list", "watch"].allSatisfy { verb in done.filter { $0.verb == verb }.count >= 4 }
        }
        #expect(started)
        process.terminate()
        #expect(try await eventually { !process.isRunning })
        try await check(user, "swiftlet-proxy", cluster)
        withExtendedLifetime(relay) {}
        await cluster.server.stop()
    }
}
