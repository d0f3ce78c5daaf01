import Foundation
import Glibc
import Netlink
import TestSupport

/// A program of this package that runs in the network namespace of a node: swiftlet-proxy, if nothing else is said.
final class NodeProgram: Sendable {
    private let process = Process()
    private let output: String

    /// - Parameters:
    ///   - input: what the standard input reads from; nothing when `nil`.
    ///   - mayAdministerNetwork: whether it has the rights of root, or none of them.
    init(
        _ name: String = "swiftlet-proxy",
        in namespace: NetworkNamespace,
        _ arguments: [String],
        input: Pipe? = nil,
        mayAdministerNetwork: Bool = true
    ) throws {
        output = NSTemporaryDirectory() + "\(name)-\(UUID().uuidString).log"
        try Data().write(to: URL(fileURLWithPath: output))
        let log = FileHandle(forWritingAtPath: output)
        // nsenter replaces itself, so that the process is the program.
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        // Of all the nodes of the tests at most one could have the socket in /run.
        let socket = name == "swiftlet-proxy" && !arguments.contains("--socket") ? ["--socket="] : []
        process.arguments =
            try ["--net=\(namespace.descriptorPath)"]
            + (mayAdministerNetwork ? [] : ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all"])
            + [ChildProcess.sibling(name)] + arguments + socket
        process.standardInput = input ?? FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        try process.run()
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: output)
    }

    var log: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }
    var isRunning: Bool { process.isRunning }

    /// The exit code, or `nil` when a signal killed it.
    func wait() -> Int32? {
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : nil
    }

    func terminate() -> Int32? {
        process.terminate()
        return wait()
    }

    func kill() {
        guard process.isRunning else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
