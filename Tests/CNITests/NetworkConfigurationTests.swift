import CNI
import NetworkTypes
import Testing

@Suite struct NetworkConfigurationTests {
    static func configuration(_ text: String) throws(CNIError) -> NetworkConfiguration {
        try NetworkConfiguration(Array(text.utf8))
    }

    /// The error of whatever is read from the text.
    static func error(_ text: String, _ read: (NetworkConfiguration) throws -> Void = { _ in }) -> CNIError? {
        do {
            try read(try configuration(text))
            return nil
        } catch {
            return error as? CNIError
        }
    }

    @Test func whatARuntimeSends() throws {
        let configuration = try Self.configuration(
            #"""
            {"cniVersion": "1.1.0", "name": "pods", "type": "swiftlet", "unknown": {"a": [1]},
             "capabilities": {"ips": true}, "ipam": {"type": "swiftlet-ipam", "assign_ipv6": "true", "more": 1e400},
             "args": {"cni": {"ips": ["10.0.0.9"]}, "org.apache.mesos": {}},
             "runtimeConfig": {"ips": ["10.0.0.7/24", "fd00::7"], "mac": "0a:00:00:00:00:01",
               "dns": {"servers": ["10.96.0.10"], "searches": ["svc.local"], "options": ["ndots:5"]},
               "io.kubernetes.cri.pod-annotations": {"k": "v", "gone": null}}}
            """#
        )
        #expect(configuration.cniVersion == .v1_1_0)
        #expect(configuration.name == "pods")
        #expect(configuration.type == "swiftlet")
        let ipam = try #require(try configuration.ipam())
        #expect(try ipam.string("type") == "swiftlet-ipam")
        #expect(try ipam.bool("assign_ipv6") == true)
        #expect(try configuration.argumentAddresses() == [IPAddress("10.0.0.9")])
        let runtime = try configuration.runtimeConfiguration()
        #expect(runtime.addresses == [IPAddress("10.0.0.7"), IPAddress("fd00::7")])
        #expect(runtime.mac == MACAddress("0a:00:00:00:00:01"))
        #expect(runtime.dns == DNS(nameservers: ["10.96.0.10"], search: ["svc.local"], options: ["ndots:5"]))
        #expect(runtime.podAnnotations == ["k": "v"])
        #expect(try configuration.previousResult() == nil)
        #expect(try configuration.validAttachments() == nil)
    }

    struct Version: Sendable {
        let json: String
        let version: SpecVersion?
        let code: CNIError.Code?
    }

    @Test(arguments: [
        Version(json: #""0.1.0""#, version: .v0_1_0, code: nil),
        Version(json: #""1.1.0""#, version: .v1_1_0, code: nil),
        Version(json: "\"\"", version: .v0_1_0, code: nil), Version(json: "null", version: .v0_1_0, code: nil),
        Version(json: #""1.0""#, version: nil, code: .incompatibleVersion),
        Version(json: #""9.9.9""#, version: nil, code: .incompatibleVersion),
        Version(json: #""0.0.99999999999999999999""#, version: nil, code: .incompatibleVersion),
        Version(json: #""1.0.0.0""#, version: nil, code: .decodingFailure),
        Version(json: #""v1.0.0""#, version: nil, code: .decodingFailure),
        Version(json: #""1..0""#, version: nil, code: .decodingFailure),
        Version(json: "1.0", version: nil, code: .decodingFailure),
    ])
    func versions(_ c: Version) throws {
        let text = #"{"name":"n","cniVersion":\#(c.json)}"#
        #expect(Self.error(text)?.code == c.code)
        if let version = c.version { #expect(try Self.configuration(text).cniVersion == version) }
    }

    @Test func incompatibleVersionTellsBoth() {
        let error = Self.error(#"{"name":"n","cniVersion":"2.0.0"}"#)
        #expect(error?.message == "incompatible CNI versions")
        #expect(
            error?.details
                == #"configuration is "2.0.0", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]"#
        )
    }

    @Test(arguments: [
        ("0.3.1", Command.check, false), ("0.4.0", .check, true), ("1.0.0", .status, false), ("1.1.0", .status, true),
        ("1.0.0", .collectGarbage, false), ("1.1.0", .collectGarbage, true), ("0.1.0", .delete, true),
        ("0.1.0", .add, true),
    ])
    func commandsOfVersions(_ version: String, _ command: Command, _ allowed: Bool) throws {
        let error = Self.error(#"{"name":"n","cniVersion":"\#(version)"}"#) { try $0.require(command) }
        #expect(error?.code == (allowed ? nil : .incompatibleVersion))
    }

    struct Bad: Sendable {
        let text: String
        let code: CNIError.Code
        /// What the message must tell.
        let names: String
    }

    @Test(arguments: [
        Bad(text: "", code: .decodingFailure, names: "not JSON"),
        Bad(text: "{", code: .decodingFailure, names: "at byte 1"),
        Bad(text: "[]", code: .decodingFailure, names: "an array"),
        Bad(text: "{}", code: .invalidConfiguration, names: "name"),
        Bad(text: #"{"name":""}"#, code: .invalidConfiguration, names: "name"),
        Bad(text: #"{"name":7}"#, code: .decodingFailure, names: "\"name\" must be a string, not the number 7"),
        Bad(text: #"{"name":"../x"}"#, code: .invalidConfiguration, names: "../x"),
        Bad(text: #"{"name":"n","type":{}}"#, code: .decodingFailure, names: "type"),
    ])
    func bad(_ c: Bad) {
        let error = Self.error(c.text)
        #expect(error?.code == c.code)
        #expect(error?.description.contains(c.names) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        Bad(text: #""ipam":[]"#, code: .decodingFailure, names: "\"ipam\" must be an object, not an array"),
        Bad(text: #""prevResult":"x""#, code: .decodingFailure, names: "prevResult"),
        Bad(text: #""prevResult":{"cniVersion":"3.0.0"}"#, code: .incompatibleVersion, names: "3.0.0"),
        Bad(
            text: #""prevResult":{"ips":[{"address":"10.0.0.1"}]}"#,
            code: .decodingFailure,
            names: "prevResult.ips[0].address"
        ),
        Bad(text: #""prevResult":{"ips":[{}]}"#, code: .decodingFailure, names: "prevResult.ips[0].address"),
        Bad(
            text: #""prevResult":{"ips":[{"address":"1.2.3.4/32","interface":0}]}"#,
            code: .decodingFailure,
            names: "prevResult.ips[0].interface"
        ),
        Bad(text: #""prevResult":{"routes":[{"dst":"x"}]}"#, code: .decodingFailure, names: "prevResult.routes[0].dst"),
        Bad(text: #""prevResult":{"interfaces":[3]}"#, code: .decodingFailure, names: "prevResult.interfaces[0]"),
        Bad(text: #""runtimeConfig":{"ips":["10.0.0.1","x"]}"#, code: .decodingFailure, names: "runtimeConfig.ips[1]"),
        Bad(text: #""runtimeConfig":{"ips":"10.0.0.1"}"#, code: .decodingFailure, names: "runtimeConfig.ips"),
        Bad(text: #""runtimeConfig":{"mac":"zz"}"#, code: .decodingFailure, names: "runtimeConfig.mac"),
        Bad(
            text: #""runtimeConfig":{"dns":{"servers":[1]}}"#,
            code: .decodingFailure,
            names: "runtimeConfig.dns.servers[0]"
        ),
        Bad(
            text: #""runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"a":1}}"#,
            code: .decodingFailure,
            names: "pod-annotations.a"
        ),
        Bad(text: #""args":{"cni":{"ips":[true]}}"#, code: .decodingFailure, names: "args.cni.ips[0]"),
        Bad(text: #""cni.dev/valid-attachments":[{}]"#, code: .decodingFailure, names: "valid-attachments[0]"),
        Bad(
            text: #""cni.dev/valid-attachments":[{"containerID":"../x","ifname":"eth0"}]"#,
            code: .invalidConfiguration,
            names: "valid-attachments[0]"
        ),
        Bad(text: #""dns":{"nameservers":"10.0.0.1"}"#, code: .decodingFailure, names: "dns.nameservers"),
    ])
    func badParts(_ c: Bad) {
        let error = Self.error(#"{"cniVersion":"1.0.0","name":"n",\#(c.text)}"#) {
            _ = try $0.ipam()
            _ = try $0.previousResult()
            _ = try $0.runtimeConfiguration()
            _ = try $0.argumentAddresses()
            _ = try $0.resolver()
            _ = try $0.validAttachments()
        }
        #expect(error?.code == c.code)
        #expect(error?.description.contains(c.names) == true, "\(String(describing: error))")
    }

    @Test func validAttachments() throws {
        let one = #"[{"containerID":"c","ifname":"eth0"}]"#
        let expected: Set = [try AttachmentID(containerID: "c", interfaceName: "eth0")]
        for text in [
            #""cni.dev/valid-attachments":\#(one)"#, #""cni.dev/attachments":\#(one)"#,
            #""cni.dev/attachments":[],"cni.dev/valid-attachments":\#(one)"#,
        ] {
            #expect(try Self.configuration(#"{"name":"n",\#(text)}"#).validAttachments() == expected)
        }
        // GC1: an empty list is not the same as none.
        #expect(try Self.configuration(#"{"name":"n","cni.dev/valid-attachments":[]}"#).validAttachments() == [])
        #expect(try Self.configuration(#"{"name":"n","cni.dev/valid-attachments":null}"#).validAttachments() == nil)
    }

    /// Go's plugins write what is not there as an empty text.
    @Test func emptyTextIsNoBoolean() throws {
        let reader = try Self.configuration(#"{"name":"n","a":"","b":"true","c":false}"#).reader
        #expect(try reader.bool("a") == nil)
        #expect(try reader.bool("b") == true)
        #expect(try reader.bool("c") == false)
        #expect(throws: CNIError.self) { try reader.bool("name") }
    }

    @Test func sizeIsBounded() {
        let text = #"{"name":"n","x":""# + String(repeating: "x", count: maximumConfigurationSize) + "\"}"
        #expect(Self.error(text)?.code == .decodingFailure)
    }

    @Test func versionReply() {
        let list = #""supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]"#
        for (stdin, version) in [
            ("", "1.1.0"), ("garbage", "1.1.0"), (#"{"cniVersion":""}"#, "1.1.0"),
            (#"{"cniVersion":"0.4.0"}"#, "0.4.0"),
        ] {
            #expect(SpecVersion.reply(toStdin: Array(stdin.utf8)).text() == #"{"cniVersion":"\#(version)",\#(list)}"#)
        }
    }

    @Test func errorResult() {
        let error = CNIError(.poolExhausted, "no \"address\"", details: "pool a")
        #expect(
            error.json(version: .v1_0_0).text()
                == #"{"cniVersion":"1.0.0","code":100,"msg":"no \"address\"","details":"pool a"}"#
        )
        #expect(
            CNIError(.tryAgainLater, "m").json(version: .latest).text()
                == #"{"cniVersion":"1.1.0","code":11,"msg":"m"}"#
        )
    }
}
