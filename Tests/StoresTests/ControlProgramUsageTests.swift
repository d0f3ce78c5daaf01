import ClusterClient
import Foundation
import IPAM
import JSON
import NetworkTypes
import TestAPIServer
import TestSupport
import Testing

@testable import Stores

/// How `swiftletctl` is used: pictures and colours, forms of reports, versions, completion, manuals.
@Suite struct ControlProgramUsageTests {
    /// The picture has colours on a terminal alone, and not where the user wants none.
    @Test func mapsAreColouredOnATerminal() async throws {
        let place = try await ControlledStore(.local)
        try await MigrationTests.fill(place.store())
        let plain = try await place.run("ipam", "show", "--map")
        #expect(plain.status == 0 && plain.output.contains("four 10.80.0.0/24:"), "\(plain.errors)")
        #expect(!plain.output.contains("\u{1b}"))
        let program = try ChildProcess.sibling("swiftletctl")
        for (variables, isColoured) in [([:], true), (["NO_COLOR": "1"], false), (["TERM": "dumb"], false)] {
            let environment = ["TERM": "xterm"].merging(place.environment) { $1 }.merging(variables) { $1 }
            // script gives the program a terminal.
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/script")
            process.arguments = ["-qec", "\(program) ipam show --map", "/dev/null"]
            process.environment = environment
            let output = Pipe()
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(text.contains("four 10.80.0.0/24:"), "\(text)")
            #expect(text.contains("\u{1b}[0;30;") == isColoured, "\(variables)")
        }
        #expect(try await place.run("ipam", "show", "--map", "-o", "json").status == 2)
        withExtendedLifetime(place) {}
    }

    /// YAML says what JSON says.
    @Test func reportsAreYAMLToo() async throws {
        let place = try await ControlledStore(.local)
        try await MigrationTests.fill(place.store())
        for command in [
            ["ipam", "show", "--show-blocks"], ["ipam", "show", "--show-borrowed"], ["ipam", "gc", "--dry-run"],
            ["ipam", "show", "--show-configuration"], ["ipam", "explain", "--pod", "shop/cart", "--node", "node-a"],
            ["version"], ["ipam", "top"], ["get", "ippools"], ["ipam", "show", "--ip", "10.80.0.250"],
        ] {
            let yaml = try await ControlledStore.run(place.environment, command + ["-o", "yaml"])
            let json = try await ControlledStore.run(place.environment, command + ["-o", "json"])
            #expect([0, 4].contains(yaml.status) && json.status == yaml.status, "\(command): \(yaml.errors)")
            let expected = try JSONValue(parsing: Array(json.output.utf8).span)
            #expect(yaml.output == expected.yaml, "\(command)")
        }
        withExtendedLifetime(place) {}
    }

    @Test(arguments: ControlledStore.Kind.allCases)
    func versionsOfClientAndCluster(_ kind: ControlledStore.Kind) async throws {
        let place = try await ControlledStore(kind)
        // In an archive of the sources the commit is known.
        func withoutCommit(_ text: String) -> String {
            text.split(separator: "\n").filter { !$0.hasPrefix("Git commit: ") }.map { $0 + "\n" }.joined()
        }
        #expect(withoutCommit(try await place.run("version", "--client").output) == "Client Version:    0.1.0\n")
        #expect(try await place.run("--version").output == "0.1.0\n")
        let unknown = try await place.run("version")
        #expect(unknown.status == 0 && unknown.output.hasSuffix("Cluster Type:      unknown\n"), "\(unknown.errors)")
        try await MigrationTests.fill(place.store())
        let known = try await place.run("version")
        #expect(known.output.contains("Cluster Version:   unknown\n"))
        #expect(known.output.hasSuffix("Cluster Type:      swiftlet\n"), "\(known.output)")
        let away = try await ControlledStore.run(["SWIFTLET_DATA_DIR": "/nowhere"], ["version"])
        #expect(away.status == 5 && withoutCommit(away.output) == "Client Version:    0.1.0\n", "\(away.errors)")
        withExtendedLifetime(place) {}
    }

    /// As kubectl takes them: several kubeconfigs in a variable, and another context than the current one.
    @Test func kubeconfigsAndContexts() async throws {
        let server = try await TestAPIServer()
        let directory = try TemporaryDirectory()
        let dead = "https://127.0.0.1:\(try EtcdServer.freePort())"
        let (alive, two) = (directory.path + "/alive", directory.path + "/two")
        try server.writeKubeconfig(to: alive)
        try server.kubeconfig(servers: [dead, server.url])
            .write(toFile: two, atomically: true, encoding: .utf8)
        let several = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": "/nowhere:\(alive)"]
        #expect(try await ControlledStore.run(several, ["ipam", "show"]).status == 0)
        let current = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": two]
        #expect(try await ControlledStore.run(current, ["ipam", "show"]).status == 5)
        #expect(try await ControlledStore.run(current, ["ipam", "show", "--context", "test-2"]).status == 0)
        #expect(try await ControlledStore.run(current, ["ipam", "show", "--kubeconfig", alive]).status == 0)
        let unknown = try await ControlledStore.run(current, ["ipam", "show", "--context", "third"])
        #expect(unknown.status == 1 && unknown.errors.contains("third"), "\(unknown.errors)")
        await server.stop()
        withExtendedLifetime(directory) {}
    }

    /// With etcd and the local store a cluster may be asked which addresses Pods have.
    @Test func aClusterBesideAnotherStore() async throws {
        let place = try await ControlledStore(.local)
        try await MigrationTests.fill(place.store())
        let allocator = Allocator(datastore: try place.store(), host: "node-a")
        let address = try #require(try await allocator.addresses(ofHandle: "pods.5").first).address
        let server = try await TestAPIServer()
        let directory = try TemporaryDirectory()
        try server.writeKubeconfig(to: directory.path + "/kubeconfig")
        try server.put(
            """
            {"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":"p5"},
             "spec":{"nodeName":"node-a","containers":[{"name":"c","image":"i"}]},
             "status":{"phase":"Running","podIP":"\(address)","podIPs":[{"ip":"\(address)"}]}}
            """
        )
        let cluster = ["--kubeconfig", directory.path + "/kubeconfig"]
        let release = ["ipam", "release", "--ip", "\(address)"]
        let refused = try await ControlledStore.run(place.environment, release + cluster)
        #expect(refused.status == 1 && refused.errors.contains("in use by a Pod"), "\(refused.errors)")
        #expect(try await ControlledStore.run(place.environment, release).status == 0)
        await server.stop()
        withExtendedLifetime((place, directory)) {}
    }

    /// What the shells complete: commands, options, the values of our own types.
    @Test func completionsKnowOurCommands() async throws {
        let program = try ChildProcess.sibling("swiftletctl")
        let directory = try TemporaryDirectory()
        for shell in ["bash", "zsh", "fish"] {
            let script = try await ControlledStore.run([:], ["--generate-completion-script", shell])
            #expect(script.status == 0, "\(script.errors)")
            for word in ["explain", "split", "gc", "ippools", "Enabled", "grace"] {
                #expect(script.output.contains(word), "\(shell) \(word)")
            }
            if shell == "bash" {
                try script.output.write(toFile: directory.path + "/bash", atomically: true, encoding: .utf8)
            }
        }
        func complete(_ words: String...) throws -> Set<String> {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/bash")
            let list = (["swiftletctl"] + words).map { "'\($0)'" }.joined(separator: " ")
            process.arguments = [
                "-c",
                """
                source \(directory.path)/bash
                COMP_WORDS=(\(list)); COMP_CWORD=\(words.count); COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
                function="$(complete -p swiftletctl | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
                "$function" swiftletctl '\(words.last ?? "")' '\(words.dropLast().last ?? "swiftletctl")'
                printf '%s\\n' "${COMPREPLY[@]}"
                """,
            ]
            process.environment = [
                "PATH": URL(fileURLWithPath: program).deletingLastPathComponent().path + ":/usr/bin:/bin"
            ]
            let output = Pipe()
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return Set(text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) })
        }
        #expect(
            try complete("ipam", "").isSuperset(of: [
                "show", "top", "explain", "check", "gc", "release", "configure", "split",
            ])
        )
        #expect(try complete("ipam", "gc", "-o", "") == ["text", "json", "yaml"])
        #expect(try complete("ipam", "configure", "--kubevirt-ip-persistence", "") == ["Enabled", "Disabled"])
        #expect(try complete("ipam", "top", "--by", "") == ["node", "namespace", "pool"])
        #expect(try complete("ipam", "configure", "--strictaffinity", "") == ["true", "false"])
        #expect(try complete("ipam", "show", "-o", "") == ["table", "wide", "json", "yaml", "csv"])
        #expect(try complete("get", "").isSuperset(of: ["ippools", "ipreservations", "ipamconfigurations", "nodes"]))
        withExtendedLifetime(directory) {}
    }

    /// Every command says what it does, how it is called, and with what; examples are lines that can be copied.
    @Test func everyCommandHasAManual() async throws {
        var commands: [[String]] = [[]]
        var seen = 0
        while let command = commands.popLast() {
            let help = try await ControlledStore.run(["COLUMNS": "80"], command + ["--help"])
            let lines = help.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            #expect(help.status == 0 && help.output.hasPrefix("OVERVIEW: "), "\(command)")
            #expect(lines.contains { $0.hasPrefix("USAGE: swiftletctl") }, "\(command)")
            let subcommands = lines.drop { $0 != "SUBCOMMANDS:" }.dropFirst().prefix { !$0.isEmpty }
                .filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
                .compactMap { $0.split(separator: " ").first.map(String.init) }
            commands += subcommands.map { command + [$0] }
            if subcommands.isEmpty {
                seen += 1
                #expect(lines.contains("EXIT STATUS"), "\(command)")
                let examples = lines.drop { $0 != "EXAMPLES" }.dropFirst().prefix { !$0.isEmpty }
                #expect(!examples.isEmpty, "\(command) has no examples")
                #expect(examples.allSatisfy { $0.hasPrefix("  ") }, "\(command): \(examples)")
            }
            for line in lines.drop(while: { !$0.hasPrefix("USAGE:") }).dropFirst() {
                #expect(line.count <= 80, "\(command): \(line)")
            }
        }
        #expect(seen >= 19)
    }
}
