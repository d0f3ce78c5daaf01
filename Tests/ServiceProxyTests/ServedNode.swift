import Foundation
import NetworkTypes
import TestSupport

import class Netlink.NetworkNamespace

/// A node with a Service in both families, and a node port, for programs that come one after the other.
struct ServedNode {
    let node: TestNode
    let directory: TemporaryDirectory
    private let arguments: [String]
    private let tests = ProxyProgramTests()

    var client: NetworkNamespace { node.pods[2].namespace }
    var outside: NetworkNamespace { node.outside.namespace }

    /// - Parameter arguments: of every program, besides those that all need.
    init(_ arguments: [String] = []) throws {
        node = try TestNode()
        directory = try TemporaryDirectory()
        self.arguments =
            [
                "--manifests", directory.path, "--hostname-override", "here", "--cluster-cidr",
                "10.9.0.0/16,fd09::/32", "--v=2",
            ] + arguments
        try write(pods: [1, 2])
    }

    /// Gives the Service these endpoints.
    func write(pods: [Int]) throws {
        let text =
            ProxyProgramTests.service("web", "10.96.0.10", pods: pods, nodePort: 30080)
            + ProxyProgramTests.service("web6", "fd96::10", pods: pods)
        try text.write(toFile: "\(directory.path)/web.yaml", atomically: true, encoding: .utf8)
    }

    func start(_ mode: String, _ more: [String] = []) throws -> NodeProgram {
        try NodeProgram(in: node.node, arguments + ["--proxy-mode", mode] + more)
    }

    /// Whether these pods, and no others, answer at every address.
    func serves(_ pods: Set<String>) -> Bool {
        tests.answers(from: client, to: "10.96.0.10") == pods
            && tests.answers(.udp, from: client, to: "10.96.0.10") == pods
            && tests.answers(from: client, to: "fd96::10") == pods
            && tests.answers(from: outside, to: "192.0.2.1", port: 30080) == pods
    }
}
