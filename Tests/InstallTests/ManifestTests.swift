import Foundation
import JSON
import TestAPIServer
import TestSupport
import Testing

/// The manifests of `cni-conf/kubernetes`, with the real kubectl.
@Suite(.enabled(if: ClusterUnderTest.hasKubectl, "kubectl is not installed"))
struct ManifestTests {
    @Test func oneApplyInstallsEverything() async throws {
        let cluster = try await ClusterUnderTest()
        let dryRun = try await cluster.kubectl(
            "apply",
            "--dry-run=client",
            "--validate=false",
            "-f",
            ClusterUnderTest.manifests
        )
        #expect(dryRun.status == 0, "\(dryRun.output) \(dryRun.errors)")
        let applied = try await cluster.kubectl("apply", "-f", ClusterUnderTest.manifests)
        #expect(applied.status == 0, "\(applied.output) \(applied.errors)")
        let lines = applied.output.split(separator: "\n")
        #expect(lines.count == dryRun.output.split(separator: "\n").count)
        #expect(lines.allSatisfy { $0.hasSuffix(" created") }, "\(applied.output)")
        for kind in ["daemonset.apps/swiftlet", "daemonset.apps/swiftlet-proxy", "job.batch/swiftlet-pools"] {
            #expect(lines.contains("\(kind) created"), "\(applied.output)")
        }
        let again = try await cluster.kubectl("apply", "-f", ClusterUnderTest.manifests)
        #expect(again.status == 0, "\(again.errors)")
        #expect(again.output.split(separator: "\n").allSatisfy { $0.hasSuffix(" unchanged") }, "\(again.output)")
        let deleted = try await cluster.kubectl("delete", "-f", ClusterUnderTest.manifests)
        #expect(deleted.status == 0, "\(deleted.errors)")
        await cluster.server.stop()
    }

    /// What names something in the manifests names something that they have, or that every cluster has.
    @Test func whatIsReferredToExists() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let accounts = try await cluster.objects("serviceaccounts")
        let settings = try #require(try await cluster.objects("configmaps")["swiftlet"])
        var workloads = try await cluster.objects("daemonsets")
        for kind in ["jobs", "deployments"] {
            workloads.merge(try await cluster.objects(kind)) { first, _ in first }
        }
        #expect(workloads.count == 4)
        for (name, workload) in workloads {
            let template = workload["spec"]["template"]
            for label in workload["spec"]["selector"]["matchLabels"].members {
                #expect(template["metadata"]["labels"][label.key] == label.value, "\(name)")
            }
            let pod = template["spec"]
            #expect(accounts[pod["serviceAccountName"].text] != nil, "\(name)")
            // It is what makes the pod network, so that it cannot wait for one.
            #expect(pod["hostNetwork"] == true, "\(name)")
            let volumes = Set(pod["volumes"].array.map { $0["name"].text })
            for volume in pod["volumes"].array where volume["configMap"] != .null {
                #expect(volume["configMap"]["name"].text == "swiftlet")
                for item in volume["configMap"]["items"].array {
                    #expect(settings["data"][item["key"].text] != .null, "\(name) \(item)")
                }
            }
            for container in pod["initContainers"].array + pod["containers"].array {
                let mounts = Set(container["volumeMounts"].array.map { $0["name"].text })
                #expect(mounts.isSubset(of: volumes), "\(name)")
                let program = URL(fileURLWithPath: container["command"].array[0].text).lastPathComponent
                #expect(["install-cni", "swiftletctl", "swiftlet-proxy"].contains(program))
                #expect(container["image"] == "swiftlet:latest")
            }
        }
        // Both containers of a node are given the same, but for --watch.
        let node = try #require(workloads["swiftlet"])["spec"]["template"]["spec"]
        #expect(node["initContainers"].array[0]["args"] == node["containers"].array[0]["args"])
        #expect(node["containers"].array[0]["command"].array.last == "--watch")
        await cluster.server.stop()
    }

    /// kubectl reads a workload into the types of the Kubernetes API: a member that these do not have is lost on the way.
    @Test func theAPIHasEveryMember() async throws {
        let cluster = try await ClusterUnderTest.installed()
        func lost(_ original: JSONValue, _ typed: JSONValue, _ path: String) -> [String] {
            switch original {
            case .object(let object):
                return object.members.flatMap { lost($0.value, typed[$0.key], "\(path).\($0.key)") }
            case .array(let elements):
                guard elements.count == typed.array.count else { return [path] }
                return zip(elements, typed.array).enumerated().flatMap { lost($1.0, $1.1, "\(path)[\($0)]") }
            default: return original == typed || path.hasSuffix(".image") ? [] : [path]
            }
        }
        // Of version 1.22, where the manifests need 1.25.
        let newer =
            try await ClusterUnderTest.kubectlMinor() < 22 ? [".spec.updateStrategy.rollingUpdate.maxSurge"] : []
        var count = 0
        for kind in ["daemonsets", "deployments", "jobs"] {
            for (name, workload) in try await cluster.objects(kind) {
                let file = cluster.directory.path + "/\(name).json"
                try workload.text().write(toFile: file, atomically: true, encoding: .utf8)
                let outcome = try await cluster.kubectl(
                    "set",
                    "image",
                    "--local",
                    "-f",
                    file,
                    "*=typed:1",
                    "-o",
                    "json"
                )
                #expect(outcome.status == 0, "\(outcome.errors)")
                let typed = try JSONValue(parsing: Array(outcome.output.utf8).span)
                let missing = lost(workload["spec"], typed["spec"], "\(name).spec")
                #expect(missing.filter { path in !newer.contains { path.hasSuffix($0) } } == [])
                count += 1
            }
        }
        #expect(count == 4)
        await cluster.server.stop()
    }

    /// The node's container, as its manifest has it, on a host that is a directory: what it installs is a configuration
    /// that the plugin takes.
    @Test func theContainerInstallsWhatTheSettingsSay() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let root = cluster.directory.path + "/host"
        let settings = try #require(try await cluster.objects("configmaps")["swiftlet"])
        let node = try #require(try await cluster.objects("daemonsets")["swiftlet"])
        let container = node["spec"]["template"]["spec"]["initContainers"].array[0]
        let mounts = [
            "/host": root, "/etc/swiftlet": cluster.directory.path + "/settings",
            "/var/run/secrets/swiftlet": cluster.directory.path + "/account",
            "/usr/local/bin/swiftlet": try ChildProcess.sibling("swiftlet"),
        ]
        for path in [root, cluster.directory.path + "/settings", cluster.directory.path + "/account"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        func put(_ path: String, _ text: String) throws {
            try text.write(toFile: cluster.directory.path + path, atomically: true, encoding: .utf8)
        }
        try put("/settings/10-swiftlet.conflist", settings["data"]["10-swiftlet.conflist"].text)
        try put("/account/token", "plugin-token")
        try put("/account/ca.crt", cluster.server.certificateAuthorityPEM)
        let arguments = container["args"].array.map { argument in
            var text = argument.text.replacingOccurrences(of: "$(NODE_NAME)", with: "node-1")
            for (path, real) in mounts where text.hasSuffix("=" + path) || text.contains("=" + path + "/") {
                text = text.replacingOccurrences(of: "=" + path, with: "=" + real)
            }
            return text
        }
        let installed = try await Command.run(
            Command.repository + "/scripts/install-cni",
            arguments,
            environment: [
                "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "\(cluster.server.port)",
            ]
        )
        #expect(installed.status == 0, "\(installed.output) \(installed.errors)")
        let conflist = try JSONValue(
            parsing: Array(Data(contentsOf: URL(fileURLWithPath: root + "/etc/cni/net.d/10-swiftlet.conflist"))).span
        )
        let plugin = conflist["plugins"].array[0]
        #expect(plugin["nodename"] == "node-1")
        // As the runtime finds it on the host.
        #expect(plugin["kubernetes"]["kubeconfig"] == "/etc/cni/net.d/swiftlet-kubeconfig")

        // The kubeconfig lets the plugin's account in, and no more than its role allows.
        _ = try await cluster.admit("swiftlet", token: "plugin-token")
        let kubeconfig = root + "/etc/cni/net.d/swiftlet-kubeconfig"
        func asPlugin(_ arguments: String...) async throws -> Command.Outcome {
            try await Command.run(
                "kubectl",
                ["--cache-dir=\(cluster.directory.path)/plugin-cache", "--kubeconfig=\(kubeconfig)"] + arguments,
                environment: ["HOME": cluster.directory.path]
            )
        }
        #expect(try await asPlugin("get", "ippools.crd.projectcalico.org").status == 0)
        let refused = try await asPlugin("get", "configmaps", "--namespace=kube-system")
        #expect(refused.status != 0 && refused.errors.contains("cannot list resource \"configmaps\""))
        await cluster.server.stop()
    }

    /// Only the proxy is privileged, and only who writes to the host's directories is root; nobody goes without what the
    /// scheduler and the kubelet have to know.
    @Test func noContainerMayMoreThanItNeeds() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let applied = try await cluster.kubectl("apply", "-f", ClusterUnderTest.manifests + "/uninstall")
        #expect(applied.status == 0, "\(applied.errors)")
        var count = 0
        for kind in ["daemonsets", "deployments", "jobs"] {
            for (name, workload) in try await cluster.objects(kind) {
                let pod = workload["spec"]["template"]["spec"]
                let priority = kind == "daemonsets" ? "system-node-critical" : "system-cluster-critical"
                #expect(pod["priorityClassName"].text == priority, "\(name)")
                if kind == "daemonsets" { #expect(pod["tolerations"] == [["operator": "Exists"]], "\(name)") }
                for container in pod["initContainers"].array + pod["containers"].array {
                    let place = "\(name) \(container["name"].text)"
                    count += 1
                    #expect(container["imagePullPolicy"] == "IfNotPresent", "\(place)")
                    #expect(container["resources"]["requests"].members.map(\.key) == ["cpu", "memory"], "\(place)")
                    let context = container["securityContext"]
                    let isProxy = container["command"].array[0].text.hasSuffix("/swiftlet-proxy")
                    #expect((context["privileged"] == true) == isProxy, "\(place)")
                    guard !isProxy else { continue }
                    #expect(context["allowPrivilegeEscalation"] == false, "\(place)")
                    #expect(context["readOnlyRootFilesystem"] == true, "\(place)")
                    #expect(context["seccompProfile"] == ["type": "RuntimeDefault"], "\(place)")
                    #expect(context["capabilities"]["drop"] == ["ALL"], "\(place)")
                    if context["runAsUser"] == 0 {
                        #expect(context["capabilities"]["add"] == ["DAC_OVERRIDE"], "\(place)")
                    } else {
                        #expect(context["runAsNonRoot"] == true && context["capabilities"]["add"] == .null, "\(place)")
                    }
                }
            }
        }
        #expect(count == 8)
        await cluster.server.stop()
    }

    /// What takes an installation back from a node, with the command of its manifest: all of it, although another plugin
    /// has changed the configuration; and it may run again.
    @Test func theNodesAreGivenBack() async throws {
        let cluster = try await ClusterUnderTest.installed()
        let applied = try await cluster.kubectl("apply", "-f", ClusterUnderTest.manifests + "/uninstall")
        #expect(applied.status == 0, "\(applied.errors)")
        let root = cluster.directory.path + "/host"
        let installed = try await Command.run(
            Command.repository + "/scripts/install-cni",
            ["--root=\(root)", "--plugin=\(try ChildProcess.sibling("swiftlet"))", "--node=node-1"]
        )
        #expect(installed.status == 0, "\(installed.errors)")
        let conflist = root + "/etc/cni/net.d/10-swiftlet.conflist"
        try "{}".write(toFile: conflist, atomically: true, encoding: .utf8)

        let node = try #require(try await cluster.objects("daemonsets")["swiftlet-uninstall"])
        let pod = node["spec"]["template"]["spec"]
        let container = pod["initContainers"].array[0]
        let volumes = Dictionary(
            uniqueKeysWithValues: pod["volumes"].array.map { ($0["name"].text, $0["hostPath"]["path"].text) }
        )
        for mount in container["volumeMounts"].array {
            #expect(mount["mountPath"].text == "/host" + (volumes[mount["name"].text] ?? ""))
        }
        let script = container["args"].array[0].text.replacing("/host", with: root)
            .replacing("/usr/local/bin/install-cni", with: Command.repository + "/scripts/install-cni")
        for turn in 1...2 {
            let outcome = try await Command.run("/bin/bash", ["-c", script])
            #expect(outcome.status == 0, "\(turn): \(outcome.output) \(outcome.errors)")
        }
        let left = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        #expect(left.allSatisfy { URL(fileURLWithPath: root + "/" + $0).hasDirectoryPath }, "\(left)")
        await cluster.server.stop()
    }

    /// The other configurations of `cni-conf` are JSON of the same plugin.
    @Test(arguments: [
        "10-swiftlet.conflist", "10-swiftlet-etcd.conflist.example", "10-swiftlet-kubernetes.conflist.example",
    ])
    func everyConfigurationIsOfThePlugin(_ name: String) throws {
        let url = URL(fileURLWithPath: Command.repository + "/cni-conf/" + name)
        let conflist = try JSONValue(parsing: Array(Data(contentsOf: url)).span)
        #expect(conflist["cniVersion"] == "1.0.0")
        #expect(conflist["cniVersions"] == ["1.0.0", "1.1.0"])
        #expect(conflist["plugins"].array.first?["type"] == "swiftlet")
    }
}
