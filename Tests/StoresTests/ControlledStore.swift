import ClusterClient
import Foundation
import TestAPIServer
import TestSupport
import Testing

@testable import Stores

/// A store, and `swiftletctl` as a person runs it with the environment that selects the store.
struct ControlledStore: Sendable {
    enum Kind: String, CaseIterable, CustomTestStringConvertible, Sendable {
        case local, etcdv3, kubernetes
        var testDescription: String { rawValue }
    }

    typealias Outcome = ProgramOutcome

    let environment: [String: String]
    let keeper: any Sendable

    init(_ kind: Kind) async throws {
        let directory = try TemporaryDirectory()
        switch kind {
        case .local:
            environment = ["SWIFTLET_DATA_DIR": directory.path]
            keeper = directory
        case .etcdv3:
            let etcd = try await EtcdServer()
            environment = ["DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": etcd.endpoint]
            keeper = etcd
        case .kubernetes:
            let server = try await TestAPIServer()
            try server.put(
                #"""
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "cart"},
                 "spec": {"nodeName": "node-a", "containers": [{"name": "c", "image": "i"}]}}
                """#
            )
            try server.writeKubeconfig(to: directory.path + "/kubeconfig")
            environment = ["DATASTORE_TYPE": "kubernetes", "KUBECONFIG": directory.path + "/kubeconfig"]
            keeper = (server, directory)
        }
    }

    func store() throws -> any Datastore {
        try StoreSelection(environment: environment).open(environment: environment, program: "test/1")
    }

    func run(_ arguments: String...) async throws -> Outcome {
        try await Self.run(environment, arguments)
    }

    static func run(
        _ environment: [String: String],
        _ arguments: [String],
        input: String = ""
    ) async throws -> Outcome {
        try await ProgramOutcome.run(
            ChildProcess.sibling("swiftletctl"),
            arguments,
            environment: environment,
            input: input
        )
    }
}
