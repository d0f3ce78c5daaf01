import CNI
import ClusterClient
import Netlink
import NetworkTypes
import PodNetwork
import Testing

@testable import CNIPlugin
@testable import IPAM

/// Every failure that the modules below know has a code of 3.2, and none of them 999.
@Suite struct ErrorCodeTests {
    private static let shortage = IPAMError.Shortage(family: .ipv4, requested: 1, available: 0, reasons: ["r"])

    static let store: [(DatastoreError.Reason, Int)] = [
        (.unavailable, 11), (.conflict, 11), (.alreadyExists, 11), (.notFound, 11), (.corrupt, 6), (.failed, 5),
        (.invalidKey, 7),
    ]

    @Test func ofStores() {
        for (reason, code) in Self.store {
            let error = CNIError(DatastoreError(reason, .handle("h"), "why"))
            #expect(error.code.rawValue == code, "\(reason)")
            #expect(error.details.contains("why"))
            #expect(CNIError(any: IPAMError.datastore(DatastoreError(reason, "why"))).code.rawValue == code)
        }
    }

    static let ipam: [(IPAMError, Int)] = [
        (.poolExhausted(shortage), 100), (.addressUnavailable(.v4(.unspecified), "is taken"), 101),
        (.blockLimit(shortage), 102), (.strictAffinity(shortage), 103), (.inconsistent("p"), 104),
        (.staleRelease(.v4(.unspecified), "p"), 104), (.noPool("p"), 7), (.invalidPool(name: "n", "p"), 7),
        (.invalidRequest("p"), 7), (.deadlineExceeded("p"), 11),
    ]

    @Test func ofIPAM() {
        for (error, code) in Self.ipam {
            #expect(CNIError(error).code.rawValue == code, "\(error)")
            #expect(CNIError(any: error) == CNIError(error))
        }
    }

    static let network: [(PodNetworkError, Int)] = [
        (.invalidRequest("p"), 7), (.interfaceExists(name: "eth0"), 7), (.notANamespace(path: "/x", reason: "r"), 8),
        (.namespaceIsOwn(path: "/x"), 8), (.hostInterfaceExists(name: "c", description: "d"), 101),
        (.routeConflict(destination: IPAddress.v4(.unspecified).hostPrefix, interface: "c"), 101),
        (.noPermission("p"), 5), (.kernel(NetlinkError(request: "r", cause: .noAnswer)), 5),
        (.setting(SysctlError(path: "/p", value: nil, code: 2)), 5), (.system("p"), 5),
        (.leftBehind(interface: "c", removal: .system("p"), cause: .system("q")), 5),
    ]

    @Test func ofTheDataplane() {
        for (error, code) in Self.network {
            let translated = CNIError(error)
            #expect(translated.code.rawValue == code, "\(error)")
            #expect(CNIError(any: translated) == translated)
        }
    }

    /// What other plugins say is handed on; what they fail to say has a code too.
    @Test func ofOtherPlugins() {
        func code(_ output: String, status: Int32 = 1) -> Int {
            CNIError(answer: .init(status: status, output: Array(output.utf8)), of: "x").code.rawValue
        }
        #expect(code(#"{"code": 123, "msg": "m"}"#) == 123)
        for silent in [
            "", "{", "[]", "{}", #"{"code": "11", "msg": "m"}"#, #"{"code": 0, "msg": "m"}"#, #"{"code": 7}"#,
        ] {
            #expect(code(silent) == 5, "\(silent)")
        }
    }

    /// The numbers are the specification's, and Calico's for plugins (3.2).
    @Test func numbers() {
        let codes: [(CNIError.Code, Int)] = [
            (.incompatibleVersion, 1), (.unsupportedField, 2), (.unknownContainer, 3), (.invalidEnvironment, 4),
            (.ioFailure, 5), (.decodingFailure, 6), (.invalidConfiguration, 7), (.invalidNamespace, 8),
            (.tryAgainLater, 11), (.pluginNotAvailable, 50), (.pluginNotAvailableLimitedConnectivity, 51),
            (.poolExhausted, 100), (.addressUnavailable, 101), (.blockLimit, 102), (.strictAffinity, 103),
            (.datastoreInconsistent, 104), (.internal, 999),
        ]
        for (code, number) in codes { #expect(code.rawValue == number) }
    }
}
