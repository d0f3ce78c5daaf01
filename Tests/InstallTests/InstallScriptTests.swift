import Foundation
import TestSupport
import Testing

/// `scripts/install-cni` on the file system of a host, which is a directory here.
@Suite struct InstallScriptTests {
    /// A host and two releases of the plugin.
    private struct Host {
        let directory: TemporaryDirectory
        var root: String { directory.path + "/root" }
        var plugin: String { directory.path + "/plugin" }

        init() throws {
            directory = try TemporaryDirectory()
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try release("one")
        }

        func release(_ content: String) throws {
            try "#!/bin/sh\necho \(content)\n".write(toFile: plugin, atomically: true, encoding: .utf8)
        }

        func install(_ arguments: String..., environment: [String: String] = [:]) async throws -> Command.Outcome {
            try await Command.run(
                Command.repository + "/scripts/install-cni",
                ["--root", root, "--plugin", plugin, "--node", "node-1"] + arguments,
                environment: environment
            )
        }

        func read(_ path: String) -> String? { try? String(contentsOfFile: root + path, encoding: .utf8) }

        func write(_ path: String, _ text: String) throws {
            let url = URL(fileURLWithPath: root + path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try text.write(to: url, atomically: true, encoding: .utf8)
        }

        func mode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: root + path)[.posixPermissions] as? Int
        }

        func inode(_ path: String) throws -> UInt64? {
            try FileManager.default.attributesOfItem(atPath: root + path)[.systemFileNumber] as? UInt64
        }

        /// Everything but directories.
        var files: [String] {
            let all = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
            return all.filter { path in
                var isDirectory: ObjCBool = false
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: root + "/" + path)
                return target != nil
                    || FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isDirectory)
                        && !isDirectory.boolValue
            }.sorted()
        }
    }

    private static let plugin = "/opt/cni/bin/swiftlet"
    private static let conflist = "/etc/cni/net.d/10-swiftlet.conflist"
    private static let kubeconfig = "/etc/cni/net.d/swiftlet-kubeconfig"
    private static let receipt = "/var/lib/swiftlet/install-cni.files"

    @Test func installsUpgradesAndTakesBack() async throws {
        let host = try Host()
        let looked = try await host.install("--dry-run")
        #expect(looked.status == 0, "\(looked.errors)")
        #expect(looked.output.contains("would be installed") && host.files.isEmpty)

        let installed = try await host.install()
        #expect(installed.status == 0, "\(installed.errors)")
        #expect(
            host.files == [
                "etc/cni/net.d/10-swiftlet.conflist", "opt/cni/bin/swiftlet", "opt/cni/bin/swiftlet-ipam",
                "var/lib/swiftlet/install-cni.files",
            ]
        )
        #expect(try host.mode(Self.plugin) == 0o755 && host.mode(Self.conflist) == 0o644)
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: host.root + Self.plugin + "-ipam")
        #expect(link == "swiftlet")
        let example = try String(contentsOfFile: Command.repository + "/cni-conf/10-swiftlet.conflist", encoding: .utf8)
        #expect(host.read(Self.conflist) == example)

        let again = try await host.install()
        #expect(again.status == 0)
        #expect(again.output.split(separator: "\n").allSatisfy { $0.hasSuffix("unchanged") }, "\(again.output)")

        // A running call of the old one keeps its file: the new one is another.
        let old = try host.inode(Self.plugin)
        try host.release("two")
        let upgraded = try await host.install()
        #expect(upgraded.status == 0, "\(upgraded.errors)")
        #expect(upgraded.output.contains("opt/cni/bin/swiftlet: replaced"), "\(upgraded.output)")
        #expect(upgraded.output.contains("swiftlet-ipam: unchanged"), "\(upgraded.output)")
        #expect(try host.inode(Self.plugin) != old)
        #expect(try await Command.run(host.root + Self.plugin, []).output == "two\n")

        try host.write("/var/lib/swiftlet/store/records/x", "kept")
        let removed = try await host.install("--uninstall")
        #expect(removed.status == 0, "\(removed.errors)")
        #expect(host.files == ["var/lib/swiftlet/store/records/x"])
        // The configuration first.
        #expect(removed.output.split(separator: "\n").first?.hasSuffix("10-swiftlet.conflist: removed") == true)
        let nothing = try await host.install("--uninstall")
        #expect(nothing.status == 1 && nothing.errors.contains("nothing has been installed"))
    }

    @Test(arguments: [plugin, plugin + "-ipam", conflist])
    func whatIsOfOthersIsLeftAlone(_ path: String) async throws {
        let host = try Host()
        try host.write(path, "of another")
        let refused = try await host.install()
        #expect(refused.status == 1)
        #expect(refused.errors.contains("\(path) exists and is not install-cni's"), "\(refused.errors)")
        // Before anything else was written.
        #expect(host.files == [String(path.dropFirst())] && host.read(path) == "of another")
        let forced = try await host.install("--force")
        #expect(forced.status == 0, "\(forced.errors)")
        #expect(host.read(path) != "of another")
    }

    @Test func whatAPersonChangedIsLeftAlone() async throws {
        let host = try Host()
        #expect(try await host.install().status == 0)
        try host.write(Self.conflist, "changed by hand")
        let refused = try await host.install()
        #expect(refused.status == 1 && refused.errors.contains("was changed since it was installed"))
        let removed = try await host.install("--uninstall")
        #expect(removed.status == 1)
        #expect(removed.output.contains("10-swiftlet.conflist: left"), "\(removed.output)")
        #expect(host.files == ["etc/cni/net.d/10-swiftlet.conflist"])
    }

    /// Pods depend on the token, whatever became of the configuration.
    @Test func aTokenIsRenewedBesideAChangedConfiguration() async throws {
        let host = try Host()
        let account = host.directory.path + "/account"
        try FileManager.default.createDirectory(atPath: account, withIntermediateDirectories: true)
        try "authority".write(toFile: account + "/ca.crt", atomically: true, encoding: .utf8)
        func install(_ token: String, _ more: String...) async throws -> Command.Outcome {
            try token.write(toFile: account + "/token", atomically: true, encoding: .utf8)
            return try await Command.run(
                Command.repository + "/scripts/install-cni",
                [
                    "--root", host.root, "--plugin", host.plugin, "--node", "node-1", "--datastore", "kubernetes",
                    "--service-account", account, "--server", "https://10.0.0.1",
                ] + more
            )
        }
        #expect(try await install("first").status == 0)
        try host.write(Self.conflist, "another plugin has chained itself in")
        let refused = try await install("second")
        #expect(refused.status == 1 && refused.errors.contains("was changed since it was installed"))
        #expect(host.read(Self.kubeconfig)?.contains("\"second\"") == true)
        let kept = try await install("third", "--keep-changed")
        #expect(kept.status == 0, "\(kept.errors)")
        #expect(kept.errors.contains("it is kept as it is"))
        #expect(host.read(Self.kubeconfig)?.contains("\"third\"") == true)
        #expect(host.read(Self.conflist) == "another plugin has chained itself in")
    }

    /// A runtime would not use the configuration, or could not.
    @Test func whatOthersLackOrHaveIsSaid() async throws {
        let host = try Host()
        let quiet = try await host.install()
        #expect(quiet.status == 0 && quiet.errors.isEmpty, "\(quiet.errors)")
        let chained = host.directory.path + "/chained.conflist"
        try """
        {"cniVersion": "1.0.0", "name": "swiftlet", "plugins": [
          {"type": "swiftlet", "policy": {"type": "k8s"}, "ipam": {"type": "swiftlet-ipam"}}, {"type": "portmap"}]}
        """.write(toFile: chained, atomically: true, encoding: .utf8)
        try host.write("/etc/cni/net.d/05-other.conf", "{}")
        // Neither is one that a runtime reads.
        try host.write("/etc/cni/net.d/00-note.txt", "")
        let warned = try await host.install("--conflist", chained)
        #expect(warned.status == 0)
        let lines = warned.errors.split(separator: "\n")
        #expect(lines.count == 2, "\(warned.errors)")
        #expect(lines.first?.contains("/opt/cni/bin/portmap does not exist") == true)
        #expect(lines.last?.contains("05-other.conf comes before 10-swiftlet.conflist") == true)
    }

    /// The example names files that a node has to have.
    @Test func filesThatTheConfigurationLacksAreSaid() async throws {
        let host = try Host()
        let directory = "/etc/swiftlet/etcd/"
        for name in ["ca.crt", "client.crt"] { try host.write(directory + name, "") }
        let warned = try await host.install("--datastore", "etcdv3")
        #expect(warned.status == 0, "\(warned.errors)")
        let lines = warned.errors.split(separator: "\n")
        #expect(lines.count == 1 && lines[0].contains("\(directory)client.key does not exist"), "\(warned.errors)")
        try host.write(directory + "client.key", "")
        #expect(try await host.install("--datastore", "etcdv3").errors.isEmpty)
    }

    @Test func aConfigurationWithoutItsKubeconfigIsRefused() async throws {
        let host = try Host()
        let refused = try await host.install("--datastore", "kubernetes")
        #expect(refused.status == 1)
        #expect(refused.errors.contains("give --kubeconfig or --service-account"), "\(refused.errors)")
        #expect(host.files.isEmpty)
    }

    /// Killed between the rename and what it notes of it, at any point: the next run goes on.
    @Test func anInterruptedUpgradeGoesOn() async throws {
        let host = try Host()
        #expect(try await host.install().status == 0)
        let before = try #require(host.read(Self.receipt))
        try host.release("two")
        #expect(try await host.install().status == 0)
        let after = try #require(host.read(Self.receipt))
        // Both are noted while the rename may or may not have happened.
        let lines = Set((before + after).split(separator: "\n")).sorted().joined(separator: "\n") + "\n"
        for content in ["one", "two"] {
            try host.write(Self.receipt, lines)
            try host.write(Self.plugin, "#!/bin/sh\necho \(content)\n")
            let next = try await host.install()
            #expect(next.status == 0, "\(next.errors)")
            #expect(host.read(Self.receipt) == after)
        }
        #expect(try await host.install("--uninstall").status == 0)
        #expect(host.files.isEmpty)
    }

    /// As the container on a node does: the kubeconfig follows the token, and what is gone comes back.
    @Test func watchingKeepsTheTokenFresh() async throws {
        let host = try Host()
        let account = host.directory.path + "/account"
        // As the kubelet does: a directory is made anew and a link is turned to it.
        func project(_ token: String, _ generation: Int) throws {
            let directory = "\(account)/..\(generation)"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try token.write(toFile: directory + "/token", atomically: true, encoding: .utf8)
            try "authority".write(toFile: directory + "/ca.crt", atomically: true, encoding: .utf8)
            try FileManager.default.createSymbolicLink(
                atPath: "\(account)/..new",
                withDestinationPath: "..\(generation)"
            )
            try #require(rename("\(account)/..new", "\(account)/..data") == 0)
            for name in ["token", "ca.crt"] where generation == 1 {
                try FileManager.default.createSymbolicLink(
                    atPath: "\(account)/\(name)",
                    withDestinationPath: "..data/\(name)"
                )
            }
        }
        try project("first", 1)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Command.repository + "/scripts/install-cni")
        process.standardInput = FileHandle.nullDevice
        process.arguments = [
            "--watch", "--interval=1", "--root=\(host.root)", "--plugin=\(host.plugin)", "--node=node-1",
            "--datastore=kubernetes", "--service-account=\(account)",
        ]
        process.environment = [
            "PATH": "/usr/bin:/bin", "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try await Command.start(process)
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        #expect(try await eventually { host.read(Self.conflist) != nil })
        let kubeconfig = try #require(host.read(Self.kubeconfig))
        #expect(kubeconfig.contains(#"token: "first""#))
        #expect(kubeconfig.contains(#"server: "https://[fd00::1]:6443""#), "\(kubeconfig)")
        #expect(kubeconfig.contains(Data("authority".utf8).base64EncodedString()))
        #expect(try host.mode(Self.kubeconfig) == 0o600)

        try project("second", 2)
        #expect(try await eventually { host.read(Self.kubeconfig)?.contains(#"token: "second""#) == true })
        try FileManager.default.removeItem(atPath: host.root + Self.plugin)
        try FileManager.default.removeItem(atPath: host.root + Self.conflist)
        #expect(try await eventually { host.read(Self.plugin) != nil && host.read(Self.conflist) != nil })

        // A token that cannot be read for a while is waited for.
        try FileManager.default.removeItem(atPath: "\(account)/..data")
        try await Task.sleep(for: .seconds(2))
        #expect(process.isRunning && host.read(Self.kubeconfig)?.contains("second") == true)
        try project("third", 3)
        #expect(try await eventually { host.read(Self.kubeconfig)?.contains(#"token: "third""#) == true })
        process.terminate()
        #expect(try await eventually { !process.isRunning })
        #expect(!process.isRunning && process.terminationStatus == 0)
    }

    private static let mistakes: [([String], Int32)] = [
        (["--nonsense"], 2), (["--interval", "soon"], 2), (["--datastore", "sql"], 2), (["x"], 2), (["--root"], 2),
        (["--conf-name", "10-swiftlet.conf"], 2), (["--node", "NODE 1"], 1), (["--plugin", "/nowhere"], 1),
        (["--kubeconfig", "/nowhere"], 1), (["--conflist", "/etc/passwd"], 1), (["--help"], 0),
    ]

    @Test(arguments: mistakes)
    func whatIsWrongIsSaid(_ arguments: [String], _ status: Int32) async throws {
        let host = try Host()
        let outcome = try await Command.run(
            Command.repository + "/scripts/install-cni",
            ["--root", host.root, "--plugin", host.plugin] + arguments
        )
        #expect(outcome.status == status, "\(outcome.output) \(outcome.errors)")
        #expect((status == 0 ? outcome.output : outcome.errors).isEmpty == false)
        #expect(host.files.isEmpty)
    }
}
