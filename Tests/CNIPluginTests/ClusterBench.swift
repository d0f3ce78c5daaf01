import CNI
import ClusterClient
import Foundation
import Netlink
import Stores
import Synchronization
import TestAPIServer
import TestSupport
import Testing

/// The stores that the nodes of a cluster share.
enum ClusterStore: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case etcd = "etcdv3"
    case kubernetes

    var testDescription: String { rawValue }
}

/// A host for the plugin, as ``Bench``, in a cluster: a real etcd, or a Kubernetes API with Calico's kinds, a Node and
/// Pods, which the host reaches over its own loopback.
final class ClusterBench: Sendable {
    let bench: Bench
    let kind: ClusterStore
    /// The members of a network configuration that select the store.
    let members: String
    private let etcd: EtcdServer?
    private let api: TestAPIServer?
    private let port: UInt16
    private let selection: StoreSelection
    private let relay = Mutex<LoopbackRelay?>(nil)

    init(_ kind: ClusterStore, customResources: [ResourceType] = ResourceType.calico) async throws {
        bench = try Bench()
        self.kind = kind
        switch kind {
        case .etcd:
            let etcd = try await EtcdServer()
            self.etcd = etcd
            api = nil
            port = etcd.port
            members = #", "datastore_type": "etcdv3", "etcd_endpoints": "\#(etcd.endpoint)""#
            selection = try StoreSelection(environment: ["ETCD_ENDPOINTS": etcd.endpoint])
        case .kubernetes:
            var options = TestAPIServer.Options()
            options.customResources = customResources
            let api = try await TestAPIServer(options)
            self.api = api
            etcd = nil
            port = UInt16(api.port)
            let kubeconfig = bench.directory + "/kubeconfig"
            try api.writeKubeconfig(to: kubeconfig)
            members =
                #", "datastore_type": "kubernetes", "kubernetes": {"kubeconfig": "\#(kubeconfig)"}"#
            // Not the plugin's: what a test looks at must not depend on what the plugin may do.
            try api.writeKubeconfig(to: kubeconfig + "-admin")
            selection = .kubernetes(.init(kubeconfig: kubeconfig + "-admin"))
            try api.put(#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}"#)
            if customResources.contains(where: { $0.plural == "ippools" }) { try putPools() }
        }
        try reach()
    }

    /// The API server; only for tests of `kubernetes`.
    var server: TestAPIServer { get throws { try #require(api) } }

    /// In a cluster the operator makes the pools, not the plugin.
    private func putPools() throws {
        for (name, cidr, size) in [("four", "10.80.0.0/24", 26), ("six", "fd80::/120", 122)] {
            try server.put(
                #"""
                {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "\#(name)"},
                 "spec": {"cidr": "\#(cidr)", "blockSize": \#(size)}}
                """#
            )
        }
    }

    /// The plugin has an account of its own from now on, which may do no more than this.
    func restrict(to rules: [AccessRule]) throws {
        try server.setToken("plugin-token", user: User("plugin"))
        try server.setRules(rules)
        try server.writeKubeconfig(to: bench.directory + "/kubeconfig", .token("plugin-token"))
    }

    // MARK: The way to the store

    /// The host reaches the store from now on.
    func reach() throws {
        let namespace = try NetworkNamespace(path: "/run/netns/\(bench.name)")
        try relay.withLock { relay in
            relay?.stop()
            relay = nil
            relay = try LoopbackRelay(port: port, in: namespace)
        }
    }

    /// The host does not reach the store any more: connections are refused, or hang.
    func lose(hanging: Bool) throws {
        let namespace = try NetworkNamespace(path: "/run/netns/\(bench.name)")
        try relay.withLock { relay in
            relay?.stop()
            relay = nil
            if hanging { relay = try LoopbackRelay(port: port, in: namespace, isSilent: true) }
        }
    }

    /// The requests that the host makes meanwhile, as `METHOD resource`, without the object's name, or etcd's path.
    func requests(_ body: () async throws -> Void) async throws -> [String] {
        api?.clearRequests()
        relay.withLock { $0?.clearRequests() }
        try await body()
        guard let api else { return relay.withLock { $0?.requests ?? [] } }
        return api.requests.map { request in
            let parts = request.path.split(separator: "/").map(String.init)
            let place = parts.first == "api" ? parts.dropFirst(2) : parts.dropFirst(3)
            let isNamespaced = place.first == "namespaces" && place.count > 2
            let resource = isNamespaced ? place.dropFirst(2) : place
            // Its second part is the object's name.
            return "\(request.method) "
                + resource.enumerated().filter { $0.offset != 1 }.map(\.element).joined(separator: "/")
        }
    }

    // MARK: Calls

    /// A network configuration; `extra` as for ``Bench/configuration(version:network:ipv4:ipv6:pools:ipam:extra:)``.
    func configuration(network: String = "pods", ipv6: Bool = true, extra: String = "") -> String {
        bench.configuration(network: network, ipv6: ipv6, extra: members + extra)
    }

    /// Makes a Pod in the cluster, as the scheduler did before a runtime calls the plugin; its arguments for that.
    func schedule(_ name: String, container: String) throws -> String {
        try api?.put(
            #"""
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "\#(name)", "uid": "uid-of-\#(name)"},
             "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]}}
            """#
        )
        return "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(name);K8S_POD_INFRA_CONTAINER_ID=\(container)"
            + ";K8S_POD_UID=uid-of-\(name)"
    }

    func call(
        _ command: String,
        _ container: String,
        namespace: String?,
        arguments: String,
        _ configuration: String? = nil
    ) async throws -> Bench.Outcome {
        try await bench.call(
            command,
            container,
            namespace: namespace,
            arguments: arguments,
            configuration ?? self.configuration()
        )
    }

    func status() async throws -> Bench.Outcome {
        try await bench.run(["CNI_COMMAND": "STATUS"], stdin: configuration())
    }

    func collect(valid: [String]) async throws -> Bench.Outcome {
        let list = valid.map { #"{"containerID": "\#($0)", "ifname": "eth0"}"# }.joined(separator: ", ")
        return try await bench.run(
            ["CNI_COMMAND": "GC"],
            stdin: configuration(extra: #", "cni.dev/valid-attachments": [\#(list)]"#)
        )
    }

    // MARK: Looking

    /// A client of the store beside the host's.
    func store() throws -> any Datastore { try selection.open(program: "test/1") }

    func assignedAddresses() async throws -> [String] { try await bench.assignedAddresses(in: store()) }

    func recordedAddresses() async throws -> [String] { try await bench.recordedAddresses(in: store()) }

    /// No link, route, address, endpoint or handle is left of anything.
    func expectNothingLeft(_ location: SourceLocation = #_sourceLocation) async throws {
        #expect(try bench.hostLinks() == [], sourceLocation: location)
        #expect(try bench.hostRoutes() == [], sourceLocation: location)
        #expect(try await recordedAddresses() == [], sourceLocation: location)
        #expect(try await assignedAddresses() == [], sourceLocation: location)
        #expect(try await store().keys(.handles) == [], sourceLocation: location)
    }
}
