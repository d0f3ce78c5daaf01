import EtcdStore
import KubernetesStore
import Testing

@testable import Stores

@Suite struct StoreSelectionTests {
    @Test(
        arguments: [
            ([:], "/var/lib/swiftlet"),
            (["DATASTORE_TYPE": "", "SWIFTLET_DATA_DIR": ""], "/var/lib/swiftlet"),
            (["DATASTORE_TYPE": "local", "SWIFTLET_DATA_DIR": "/data"], "/data"),
            // Set for kubectl; it chooses nothing.
            (["KUBECONFIG": "/root/.kube/config"], "/var/lib/swiftlet"),
        ] as [([String: String], String)]
    )
    func theLocalStoreIsTheDefault(_ environment: [String: String], _ directory: String) throws {
        #expect(try StoreSelection(environment: environment) == .local(dataDirectory: directory))
    }

    @Test func calicoctlsVariablesSelectEtcd() throws {
        let implied = try StoreSelection(environment: ["ETCD_ENDPOINTS": "http://10.0.0.1:2379,http://10.0.0.2:2379"])
        guard case .etcd(let configuration) = implied else {
            Issue.record("\(implied.type) was selected")
            return
        }
        #expect(configuration.endpoints.map(\.host) == ["10.0.0.1", "10.0.0.2"])
        let named = try StoreSelection(
            environment: [
                "DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": "10.0.0.1:2379", "ETCD_USERNAME": "u",
                "ETCD_PASSWORD": "hidden-word",
            ]
        )
        guard case .etcd(let configuration) = named else {
            Issue.record("\(named.type) was selected")
            return
        }
        #expect(configuration.credentials?.username == "u")
    }

    @Test func calicoctlsVariablesSelectKubernetes() throws {
        let selection = try StoreSelection(
            environment: [
                "DATASTORE_TYPE": "kubernetes", "KUBECONFIG": "/k", "K8S_API_ENDPOINT": "https://10.0.0.1:6443",
                "CALICO_API_GROUP": "projectcalico.org",
            ]
        )
        #expect(
            selection
                == .kubernetes(.init(kubeconfig: "/k", apiRoot: "https://10.0.0.1:6443", api: .native))
        )
    }

    @Test func aNetworkConfigurationSelectsByCalicosKeys() throws {
        #expect(
            try StoreSelection(
                configuration: ["datastore_type": "kubernetes", "kubernetes.kubeconfig": "/etc/k"]
            ) == .kubernetes(.init(kubeconfig: "/etc/k"))
        )
        #expect(try StoreSelection(configuration: ["etcd_endpoints": "http://10.0.0.1:2379"]).type == .etcd)
    }

    @Test(
        arguments: [
            (["DATASTORE_TYPE": "etcdv3"], .invalid, "ETCD_ENDPOINTS is not set"),
            (["DATASTORE_TYPE": "Local"], .unsupported, "no store"),
            (["SWIFTLET_DATA_DIR": "data"], .invalid, "absolute"),
            (["ETCD_DISCOVERY_SRV": "example.org"], .invalid, "ETCD_DISCOVERY_SRV"),
            (["ETCD_ENDPOINTS": "http://a:1", "ETCD_CA_CERT_FILE": "/nonexistent/ca"], .invalid, "ETCD_CA_CERT_FILE"),
            (["DATASTORE_TYPE": "kubernetes", "CALICO_API_GROUP": "x"], .unsupported, "CALICO_API_GROUP"),
        ] as [([String: String], StoreSelection.Problem.Kind, String)]
    )
    func whatSelectsNoStoreIsNamed(
        _ environment: [String: String],
        _ kind: StoreSelection.Problem.Kind,
        _ part: String
    ) throws {
        let problem = try #require(throws: StoreSelection.Problem.self) {
            try StoreSelection(environment: environment)
        }
        #expect(problem.kind == kind)
        #expect(problem.description.contains(part), "\(problem)")
    }

    @Test func passwordsStayOutOfMessages() throws {
        let selection = try StoreSelection(
            environment: ["ETCD_ENDPOINTS": "http://a:1", "ETCD_USERNAME": "u", "ETCD_PASSWORD": "hidden-word"]
        )
        #expect(!"\(selection)".contains("hidden-word"))
    }
}
