import CNI
import NetworkTypes
import Testing

@Suite struct InvocationTests {
    static let complete = [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;X=y",
    ]

    static func environment(_ changes: [String: String?]) -> [String: String] {
        var environment = complete
        for (key, value) in changes { environment[key] = value }
        return environment
    }

    static func error(_ changes: [String: String?]) -> CNIError? {
        do {
            _ = try Invocation(environment: environment(changes))
            return nil
        } catch {
            return error
        }
    }

    @Test func add() throws {
        guard case .add(let attachment, let namespacePath) = try Invocation(environment: Self.complete) else {
            Issue.record("not an ADD")
            return
        }
        #expect(namespacePath == "/run/netns/x")
        #expect(attachment.id.containerID == "c1")
        #expect(attachment.id.interfaceName == "eth0")
        #expect(attachment.path == ["/opt/cni/bin", "/usr/lib/cni"])
        #expect(attachment.arguments.pod == PodReference(namespace: "shop", name: "web-0"))
        #expect(attachment.arguments["X"] == "y")
        #expect(!attachment.allowsOwnNamespace)
    }

    @Test func deleteNeedsNoNamespace() throws {
        for missing in [nil, ""] {
            let environment = Self.environment(["CNI_COMMAND": "DEL", "CNI_NETNS": missing, "CNI_PATH": nil])
            guard case .delete(_, namespacePath: nil) = try Invocation(environment: environment) else {
                Issue.record("not a DEL without namespace")
                return
            }
        }
    }

    @Test(arguments: ["VERSION", "STATUS", "GC"])
    func commandsOfTheWholeNetworkNeedNothingElse(_ command: String) throws {
        // V5: what is not needed is not looked at.
        let environment = [
            "CNI_COMMAND": command, "CNI_CONTAINERID": "../x", "CNI_IFNAME": "a/b", "CNI_ARGS": "nonsense",
        ]
        #expect(try Invocation(environment: environment).command.rawValue == command)
    }

    struct Missing: Sendable {
        let command: String
        let message: String
    }

    @Test(arguments: [
        Missing(command: "ADD", message: "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing"),
        Missing(command: "CHECK", message: "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing"),
        Missing(command: "DEL", message: "required env variables [CNI_CONTAINERID,CNI_IFNAME] missing"),
        Missing(command: "", message: "required env variables [CNI_COMMAND] missing"),
    ])
    func allMissingVariablesAreNamed(_ c: Missing) {
        #expect {
            try Invocation(environment: ["CNI_COMMAND": c.command])
        } throws: { ($0 as? CNIError)?.code == .invalidEnvironment && ($0 as? CNIError)?.message == c.message }
    }

    @Test(arguments: ["add", "ADD ", "PATCH", "VERSION\n"])
    func unknownCommand(_ command: String) {
        #expect(Self.error(["CNI_COMMAND": command])?.code == .invalidEnvironment)
    }

    @Test(arguments: ["../x", ".x", "-x", "_x", "a/b", "a b", "a\nb", "é", "a:b", "a\0"])
    func badContainerID(_ id: String) {
        #expect(Self.error(["CNI_CONTAINERID": id])?.code == .invalidEnvironment)
    }

    @Test(arguments: ["a..b", "0", "A-_.", "cnitool-0123456789abcdef0123"])
    func goodContainerID(_ id: String) {
        #expect(Self.error(["CNI_CONTAINERID": id]) == nil)
    }

    @Test(arguments: [
        ".", "..", "a/b", "a:b", "a b", "a\tb", "a\u{2003}b", "a\u{a0}b", "sixteen-bytes-xx", "ééééééééé", "à",
        "net%d", "%s", "eth\u{fffd}",
    ])
    func badInterfaceName(_ name: String) {
        #expect(Self.error(["CNI_IFNAME": name])?.code == .invalidEnvironment)
    }

    @Test(arguments: ["eth0", "fifteen-bytes-x", "...", "net.1", "é"])
    func goodInterfaceName(_ name: String) {
        #expect(Self.error(["CNI_IFNAME": name]) == nil)
    }

    @Test(arguments: [
        "A", "A=b=c", "=b", "IP=1.2.3.4;", ";", "IP=1.2.3.4;;IgnoreUnknown=1", "FOO=bar", "FOO=bar;IgnoreUnknown=0",
        "K8S_POD_NAME=../x",
        "K8S_POD_NAMESPACE=a/b",
    ])
    func badArguments(_ text: String) {
        #expect(Self.error(["CNI_ARGS": text])?.code == .invalidEnvironment)
    }

    @Test(arguments: [
        "", "IP=1.2.3.4", "FOO=bar;IgnoreUnknown=1", "IgnoreUnknown=TRUE;FOO=", "K8S_POD_UID=u;K8S_POD_NAME=",
    ])
    func goodArguments(_ text: String) {
        #expect(Self.error(["CNI_ARGS": text]) == nil)
    }

    @Test func podNeedsBothNames() throws {
        #expect(try CNIArguments("K8S_POD_NAME=web-0").pod == nil)
        #expect(try CNIArguments("K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=").pod == nil)
        #expect(try CNIArguments("K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;K8S_POD_UID=u").pod?.uid == "u")
    }

    @Test func requestedAddress() throws {
        #expect(try CNIArguments("IP=fd00::1").requestedAddress() == IPAddress("fd00::1"))
        #expect(try CNIArguments("IP=").requestedAddress() == nil)
        #expect(throws: CNIError.self) { try CNIArguments("IP=10.0.0.256").requestedAddress() }
    }

    @Test(arguments: [("1", true), ("true", true), ("True", true), ("0", false), ("yes", false), ("", false)])
    func namespaceOverride(_ value: String, _ allowed: Bool) throws {
        let invocation = try Invocation(environment: Self.environment(["CNI_NETNS_OVERRIDE": value]))
        guard case .add(let attachment, _) = invocation else { return }
        #expect(attachment.allowsOwnNamespace == allowed)
    }
}
