import ClusterClient
import Foundation
import TestSupport
import Testing

@testable import EtcdStore

@Suite struct ConfigurationTests {
    @Test func endpointsAreAListWithOrWithoutSchemes() throws {
        let configuration = try EtcdConfiguration(environment: [
            "ETCD_ENDPOINTS": " https://etcd-1:2379, http://[fd00::2]:2379,10.0.0.3:2379 ,,https://etcd-1:2379"
        ])
        #expect(
            configuration.endpoints.map(\.description)
                == ["https://etcd-1:2379", "http://[fd00::2]:2379", "http://10.0.0.3:2379"]
        )
        #expect(configuration.credentials == nil && configuration.tls.clientIdentity == nil)
    }

    static let refused: [([String: String], String)] = [
        ([:], "etcd_endpoints is not set"),
        (["ETCD_ENDPOINTS": " , "], "etcd_endpoints is not set"),
        (["ETCD_ENDPOINTS": "http://a:1,ftp://b"], "endpoint 2"),
        (["ETCD_ENDPOINTS": "http://user:secret@a:1"], "endpoint 1"),
        (["ETCD_ENDPOINTS": "http://a:1", "ETCD_DISCOVERY_SRV": "example.org"], "etcd_discovery_srv"),
        (["ETCD_ENDPOINTS": "http://a:1", "ETCD_USERNAME": "u"], "without etcd_password"),
        (["ETCD_ENDPOINTS": "http://a:1", "ETCD_PASSWORD": "secret"], "without etcd_username"),
        (
            ["ETCD_ENDPOINTS": "http://a:1", "ETCD_CA_CERT_FILE": "/nonexistent/ca"],
            "etcd_ca_cert_file /nonexistent/ca"
        ),
        (["ETCD_ENDPOINTS": "http://a:1", "ETCD_KEY_FILE": #filePath], "without etcd_cert_file"),
        (["ETCD_ENDPOINTS": "http://a:1", "ETCD_CERT_FILE": #filePath], "without etcd_key_file"),
    ]

    @Test(arguments: refused.indices)
    func whatDoesNotFitIsRefusedByName(_ index: Int) throws {
        let (environment, word) = Self.refused[index]
        let error = #expect(throws: DatastoreError.self) { try EtcdConfiguration(environment: environment) }
        #expect(error?.reason == .failed && error?.message.contains(word) == true, "\(error as Any)")
        #expect(error?.message.contains("secret") == false)
    }

    @Test func filesThatHoldNoCertificatesAreRefusedBeforeAnythingIsSent() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/file"
        try Data("not a certificate".utf8).write(to: URL(fileURLWithPath: path))
        for names in [["ETCD_CA_CERT_FILE"], ["ETCD_CERT_FILE", "ETCD_KEY_FILE"]] {
            var environment = ["ETCD_ENDPOINTS": "https://127.0.0.1:1"]
            for name in names { environment[name] = path }
            let configuration = try EtcdConfiguration(environment: environment)
            let error = #expect(throws: DatastoreError.self) {
                _ = try EtcdDatastore(configuration, logger: quiet)
            }
            #expect(error?.reason == .failed && error?.message.contains("PEM") == true)
        }
    }

    @Test func namesInConfigurationsAreCalicos() {
        #expect(
            EtcdConfiguration.Setting.allCases.map(\.rawValue) == [
                "etcd_endpoints", "etcd_key_file", "etcd_cert_file", "etcd_ca_cert_file", "etcd_username",
                "etcd_password", "etcd_discovery_srv",
            ]
        )
        #expect(EtcdConfiguration.Setting.authorityFile.environmentName == "ETCD_CA_CERT_FILE")
    }
}
