import CNI
import NetworkTypes
import Testing

@testable import CNIPlugin

/// What annotations mean, and which are refused (1.3).
@Suite struct PodAnnotationsTests {
    private static func text(_ name: String) -> String { "cni.projectcalico.org/" + name }

    private static func read(
        _ pod: [String: String],
        namespace: [String: String] = [:]
    ) throws(CNIError) -> PodAnnotations {
        func full(_ pairs: [String: String]) -> [String: String] {
            Dictionary(uniqueKeysWithValues: pairs.map { (text($0.key), $0.value) })
        }
        return try PodAnnotations(pod: full(pod), namespace: full(namespace))
    }

    @Test func everythingAtOnce() throws {
        let read = try Self.read([
            "ipAddrs": #"["10.80.0.7", "fd80::7"]"#, "ipv4pools": #"["four", "10.81.0.0/16"]"#,
            "ipv6pools": #"["six"]"#, "ipFamilies": #"["IPv6", "IPv4"]"#, "hwAddr": "0A:58:00:00:00:01",
            "floatingIPs": #"["192.0.2.7"]"#, "allowedSourcePrefixes": #"["198.51.100.0/24"]"#, "podIP": "10.80.0.1/32",
        ])
        #expect(read.addresses.map(\.description) == ["10.80.0.7", "fd80::7"])
        #expect(read.pools == [.ipv4: ["four", "10.81.0.0/16"], .ipv6: ["six"]])
        #expect(read.families == [.ipv4, .ipv6])
        #expect(read.mac == MACAddress("0a:58:00:00:00:01"))
        #expect(read.floatingAddresses.map(\.description) == ["192.0.2.7"])
        #expect(read.allowedSources.map(\.description) == ["198.51.100.0/24"])
        #expect(try Self.read([:]) == .none)
        #expect(try Self.read(["ipAddrs": ""]) == .none)
        #expect(try PodAnnotations(pod: ["ipAddrs": "[nonsense", "example.com/ipAddrs": "["], namespace: [:]) == .none)
    }

    @Test func thePodReplacesTheNamespace() throws {
        let read = try Self.read(
            ["ipv4pools": #"["pods-own"]"#, "ipFamilies": #"["IPv4"]"#],
            namespace: [
                "ipv4pools": #"["a", "b"]"#, "ipv6pools": #"["c"]"#, "ipFamilies": #"["IPv6"]"#,
                // These are a Pod's alone.
                "ipAddrs": #"["10.0.0.1"]"#, "hwAddr": "nonsense",
            ]
        )
        #expect(read.pools == [.ipv4: ["pods-own"], .ipv6: ["c"]])
        #expect(read.families == [.ipv4])
        #expect(read.addresses.isEmpty && read.mac == nil)
    }

    @Test(arguments: [
        ("ipAddrs", "10.0.0.1", 6), ("ipAddrs", "[", 6), ("ipAddrs", #"{"a": 1}"#, 6), ("ipAddrs", "[1]", 6),
        ("ipAddrs", #"["ten"]"#, 6), ("ipAddrs", #"["10.0.0.1/32"]"#, 6), ("ipAddrs", "[]", 7),
        ("ipAddrs", #"["10.0.0.1", "10.0.0.2"]"#, 7), ("ipAddrsNoIpam", #"["fd00::1", "fd00::2"]"#, 7),
        ("ipv4pools", "four", 6), ("ipv4pools", "[]", 7), ("ipv6pools", #"[""]"#, 7), ("ipv6pools", "[null]", 6),
        ("ipFamilies", #"["ipv4"]"#, 7), ("ipFamilies", "[]", 7), ("ipFamilies", "IPv4", 6),
        ("floatingIPs", "[", 6), ("floatingIPs", #"["192.0.2.0/24"]"#, 6), ("allowedSourcePrefixes", #"["x"]"#, 6),
        ("hwAddr", "0a:58", 6), ("hwAddr", "01:00:00:00:00:00", 7), ("hwAddr", #"["0a:58:00:00:00:01"]"#, 6),
    ])
    func refused(_ name: String, _ value: String, _ code: Int) throws {
        let error = try #require(throws: CNIError.self) { try Self.read([name: value]) }
        #expect(error.code.rawValue == code, "\(error)")
        #expect(error.message.contains(Self.text(name)))
    }

    @Test func bothKindsOfAddressesAreRefused() throws {
        let error = try #require(throws: CNIError.self) {
            try Self.read(["ipAddrs": #"["10.0.0.1"]"#, "ipAddrsNoIpam": #"["10.0.0.2"]"#])
        }
        #expect(error.code == .invalidConfiguration)
    }

    // MARK: Precedence

    private static let member = "io.kubernetes.cri.pod-annotations"

    private static func settings(
        runtime: String = "",
        argument: String = "",
        variable: String = "",
        annotated: String = ""
    ) throws -> AddressSettings {
        let configuration = try NetworkConfiguration(
            Array(
                #"""
                {"cniVersion": "1.1.0", "name": "n", "runtimeConfig": {"ips": [\#(runtime)]},
                 "args": {"cni": {"ips": [\#(argument)]}},
                 "ipam": {"assign_ipv6": "true", "ipv4_pools": ["conf4"], "ipv6_pools": ["conf6"]}}
                """#.utf8
            )
        )
        return try AddressSettings(
            configuration,
            arguments: CNIArguments(variable.isEmpty ? "" : "IP=\(variable)"),
            annotations: read([
                "ipAddrs": annotated.isEmpty ? "" : #"["\#(annotated)"]"#, "ipv6pools": #"["noted6"]"#,
            ])
        )
    }

    /// `runtimeConfig.ips` > `args.cni.ips` > `IP` > the annotation (3.10).
    @Test func requestedAddresses() throws {
        func requested(_ runtime: String, _ argument: String, _ variable: String, _ annotated: String) throws -> String
        {
            try Self.settings(
                runtime: runtime.isEmpty ? "" : "\"\(runtime)\"",
                argument: argument.isEmpty ? "" : "\"\(argument)\"",
                variable: variable,
                annotated: annotated
            ).requested.map(\.description).joined(separator: " ")
        }
        #expect(try requested("10.0.0.1/24", "10.0.0.2", "10.0.0.3", "10.0.0.4") == "10.0.0.1")
        #expect(try requested("", "10.0.0.2", "10.0.0.3", "10.0.0.4") == "10.0.0.2")
        #expect(try requested("", "", "10.0.0.3", "10.0.0.4") == "10.0.0.3")
        #expect(try requested("", "", "", "10.0.0.4") == "10.0.0.4")
        #expect(try requested("", "", "", "") == "")
        let settings = try Self.settings(annotated: "10.0.0.4")
        #expect(settings.families == [.ipv4])
        #expect(settings.pools == [.ipv4: ["conf4"], .ipv6: ["noted6"]])
        #expect(try Self.settings().families == [.ipv4, .ipv6])
    }
}
