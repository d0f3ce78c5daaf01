import CNI
import Foundation
import JSON
import NetworkTypes
import Stores
import Testing

@testable import CNIPlugin

/// A directory that goes with the value.
final class TemporaryDirectory: Sendable {
    let path = NSTemporaryDirectory() + "/swiftlet-" + UUID().uuidString

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws -> String {
        try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
        return path + "/" + name
    }
}

func reader(_ text: String) throws -> ObjectReader {
    guard case .object(let object) = try JSONValue(parsing: Array(text.utf8).span) else {
        return ObjectReader(JSONObject())
    }
    return ObjectReader(object)
}

func code<Value>(of body: () throws(CNIError) -> Value) -> CNIError.Code? {
    do throws(CNIError) {
        _ = try body()
        return nil
    } catch {
        return error.code
    }
}

@Suite struct ConfigurationTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func nodeNameInItsOrder() throws {
        let file = try directory.write("  from-file\n", to: "nodename")
        func name(_ text: String) throws -> String {
            try NodeSettings(try reader(text)).resolve { () throws(CNIError) in "Host.Example" }
        }
        #expect(try name(#"{"nodename":"a","nodename_file":"\#(file)","hostname":"b"}"#) == "a")
        #expect(try name(#"{"nodename":"","nodename_file":"\#(file)","hostname":"b"}"#) == "from-file")
        let gone = #""nodename_file":"/nonexistent/x","nodename_file_optional":true"#
        #expect(try name(#"{\#(gone),"hostname":"b"}"#) == "b")
        #expect(try name("{\(gone)}") == "host.example")
    }

    @Test func nodeNameFileIsWaitedFor() throws {
        let empty = try directory.write("\n", to: "empty")
        for file in ["/nonexistent/x", empty] {
            let settings = try NodeSettings(try reader(#"{"nodename_file":"\#(file)","hostname":"b"}"#))
            #expect(code { () throws(CNIError) in try settings.resolve() } == .tryAgainLater)
        }
    }

    @Test(arguments: ["../x", "a/b", "-a", "a b", "é", String(repeating: "a", count: 254)])
    func badNodeName(_ name: String) throws {
        let settings = try NodeSettings(try reader(#"{"nodename":"\#(name)"}"#))
        #expect(code { () throws(CNIError) in try settings.resolve() } == .invalidConfiguration)
    }

    struct MTU: Sendable {
        let json: String
        let file: String?
        var hasIPv6 = false
        var mtu: Int?
        var code: CNIError.Code?
    }

    @Test(arguments: [
        MTU(json: "{}", file: nil), MTU(json: "{}", file: "1450\n", mtu: 1450), MTU(json: "{}", file: "0"),
        MTU(json: #"{"mtu":9000}"#, file: "1450", mtu: 9000), MTU(json: #"{"mtu":0}"#, file: "1450", mtu: 1450),
        MTU(json: "{}", file: "garbage", code: .invalidConfiguration),
        MTU(json: "{}", file: "", code: .invalidConfiguration),
        MTU(json: #"{"mtu":67}"#, file: nil, code: .invalidConfiguration),
        MTU(json: #"{"mtu":65536}"#, file: nil, code: .invalidConfiguration),
        MTU(json: #"{"mtu":-1}"#, file: nil, code: .invalidConfiguration),
        MTU(json: #"{"mtu":1279}"#, file: nil, hasIPv6: true, code: .invalidConfiguration),
        MTU(json: #"{"mtu":1280}"#, file: nil, hasIPv6: true, mtu: 1280),
        MTU(json: #"{"mtu":"1450"}"#, file: nil, code: .decodingFailure),
        MTU(json: #"{"mtu":1450.5}"#, file: nil, code: .decodingFailure),
        MTU(json: #"{"require_mtu_file":true,"mtu":1450}"#, file: nil, code: .tryAgainLater),
        MTU(json: #"{"require_mtu_file":true}"#, file: "1450", mtu: 1450),
        MTU(json: #"{"device_type":"tap"}"#, file: nil, code: .unsupportedField),
        MTU(json: #"{"num_queues":0}"#, file: nil, code: .invalidConfiguration),
        MTU(json: #"{"dataplane_options":{"type":"linux"}}"#, file: nil),
        MTU(json: #"{"dataplane_options":{"type":"grpc"}}"#, file: nil, code: .unsupportedField),
    ])
    func link(_ c: MTU) throws {
        let path = directory.path + "/mtu"
        if let file = c.file { _ = try directory.write(file, to: "mtu") }
        let configuration = try reader(c.json)
        let read = { () throws(CNIError) in try LinkSettings(configuration, mtuFile: path, hasIPv6: c.hasIPv6) }
        #expect(code(of: read) == c.code)
        if c.code == nil { #expect(try read().mtu == c.mtu) }
    }

    @Test func smallFileMustBeSmallAndAFile() throws {
        let large = try directory.write(String(repeating: "1", count: 5000), to: "large")
        #expect(code { () throws(CNIError) in try SmallFile.contents(large) } == .decodingFailure)
        #expect(code { () throws(CNIError) in try SmallFile.contents(directory.path) } == .decodingFailure)
        #expect(code { () throws(CNIError) in try SmallFile.contents("/dev/zero") } == .decodingFailure)
    }

    @Test func forwarding() throws {
        let on = try reader(#"{"container_settings":{"allow_ip_forwarding":true}}"#)
        #expect(try LinkSettings(on, mtuFile: "/nonexistent", hasIPv6: false).allowsForwarding)
        #expect(try !LinkSettings(reader("{}"), mtuFile: "/nonexistent", hasIPv6: false).allowsForwarding)
    }

    @Test func store() throws {
        #expect(try StoreSettings(reader("{}")).dataDirectory == "/var/lib/swiftlet")
        #expect(try StoreSettings(reader(#"{"datastore_type":"local","data_dir":"/x"}"#)).mtuFile == "/x/mtu")
        #expect(try StoreSettings(reader(#"{"etcd_endpoints":"http://x:2379"}"#)).selection.type == .etcd)
        let kubernetes = try reader(#"{"datastore_type":"kubernetes","kubernetes":{"kubeconfig":"/k"}}"#)
        #expect(try StoreSettings(kubernetes).selection == .kubernetes(.init(kubeconfig: "/k")))
        let unknown = try reader(#"{"datastore_type":"Local"}"#)
        #expect(code { () throws(CNIError) in try StoreSettings(unknown) } == .unsupportedField)
        let older = try reader(#"{"etcd_authority":"x:2379"}"#)
        let current = try reader(#"{"etcd_endpoints":"http://x:2379"}"#)
        #expect(try StoreSettings(older).selection == StoreSettings(current).selection)
        let both = try reader(#"{"etcd_authority":"y:1","etcd_scheme":"https","etcd_endpoints":"http://x:2379"}"#)
        #expect(try StoreSettings(both).selection == StoreSettings(current).selection)
        let half = try reader(#"{"policy":{"k8s_client_certificate":"/c"}}"#)
        #expect(code { () throws(CNIError) in try StoreSettings(half) } == .invalidConfiguration)
        let nowhere = try reader(#"{"datastore_type":"etcdv3"}"#)
        #expect(code { () throws(CNIError) in try StoreSettings(nowhere) } == .invalidConfiguration)
        let relative = try reader(#"{"data_dir":"x"}"#)
        #expect(code { () throws(CNIError) in try StoreSettings(relative) } == .invalidConfiguration)
    }

    /// No longer than what swiftletctl's collection takes for the time of an ADD that is still at it.
    @Test func times() throws {
        #expect(try TimeSettings(reader("{}")).add == .seconds(40))
        for seconds in [1, 110] {
            #expect(try TimeSettings(reader(#"{"add_timeout_seconds":\#(seconds)}"#)).add == .seconds(seconds))
        }
        for seconds in [-1, 0, 111, 600] {
            let configuration = try reader(#"{"add_timeout_seconds":\#(seconds)}"#)
            #expect(code { () throws(CNIError) in try TimeSettings(configuration) } == .invalidConfiguration)
        }
    }

    func addresses(_ members: String, arguments: String = "") throws -> AddressSettings {
        try AddressSettings(
            NetworkConfiguration(Array(#"{"name":"n"\#(members)}"#.utf8)),
            arguments: CNIArguments(arguments)
        )
    }

    @Test func families() throws {
        #expect(try addresses("").families == [.ipv4])
        #expect(try addresses(#","ipam":{"assign_ipv6":"true"}"#).families == [.ipv4, .ipv6])
        #expect(try addresses(#","ipam":{"assign_ipv4":false,"assign_ipv6":true}"#).families == [.ipv6])
        #expect { try addresses(#","ipam":{"assign_ipv4":"false"}"#) } throws: {
            ($0 as? CNIError)?.code == .invalidConfiguration
        }
    }

    @Test func requestedAddressesInTheirOrder() throws {
        let runtime = #","runtimeConfig":{"ips":["10.0.0.1/24","fd00::1"]}"#
        let argument = #","args":{"cni":{"ips":["10.0.0.2"]}}"#
        #expect(
            try addresses(runtime + argument, arguments: "IP=10.0.0.3").requested.map(\.description) == [
                "10.0.0.1", "fd00::1",
            ]
        )
        #expect(try addresses(argument, arguments: "IP=10.0.0.3").requested.map(\.description) == ["10.0.0.2"])
        let mapped = try addresses("", arguments: "IP=::ffff:10.0.0.3")
        #expect(mapped.requested.map(\.description) == ["10.0.0.3"])
        #expect(mapped.families == [.ipv4])
        let single = try addresses("", arguments: "IP=fd00::3")
        #expect(single.requested.map(\.description) == ["fd00::3"])
        #expect(single.families == [.ipv6])
        for bad in ["127.0.0.1", "::", "10.0.0.1\",\"10.0.0.1"] {
            #expect { try addresses(#","runtimeConfig":{"ips":["\#(bad)"]}"#) } throws: {
                ($0 as? CNIError)?.code == .invalidConfiguration
            }
        }
    }

    /// Without any, and with those that are in no absolute directory of CNI_PATH.
    @Test func missingIPAMPluginsAreRefused() throws {
        for (text, expected) in [
            (#","ipam":{"type":"swiftlet-ipam"}"#, nil),
            (#","ipam":{"type":"host-local"}"#, CNIError.Code.invalidConfiguration),
            (#","ipam":{"type":"../bin/sh"}"#, .invalidConfiguration),
            (#","ipam":{"type":".."}"#, .invalidConfiguration),
            ("", .invalidConfiguration), (#","ipam":{}"#, .invalidConfiguration), (#","ipam":3"#, .decodingFailure),
        ] {
            let configuration = try NetworkConfiguration(Array(#"{"name":"n"\#(text)}"#.utf8))
            let refusal = code { () throws(CNIError) in
                _ = try IPAMDelegate(required: configuration, path: ["", "relative", "./bin", "/nonexistent", "/"])
            }
            #expect(refusal == expected, "\(text)")
        }
        // V1: CNI_PATH is needed by who starts another plugin.
        let configuration = try NetworkConfiguration(Array(#"{"name":"n","ipam":{"type":"host-local"}}"#.utf8))
        let refusal = code { () throws(CNIError) in _ = try IPAMDelegate(configuration, path: []) }
        #expect(refusal == .invalidEnvironment)
    }

    @Test func logFileIsPutAsideWhenFull() throws {
        let path = directory.path + "/log"
        let settings = try LogSettings(
            reader(#"{"log_file_path":"\#(path)","log_file_max_size":1,"log_file_max_count":2}"#)
        )
        let log = PluginLog(settings: settings, subject: "test")
        let line = String(repeating: "x", count: 1000)
        try String(repeating: line + "\n", count: 1100).write(toFile: path, atomically: true, encoding: .utf8)
        log.error("after\nthe first")
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasSuffix("error test: after the first\n"))
        #expect(try FileManager.default.attributesOfItem(atPath: path + ".1")[.size] as? Int == 1100 * 1001)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        // What was put aside longer ago than a month goes with the next.
        let old = try #require(DateComponents(calendar: .current, year: 2020).date)
        try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: path + ".1")
        try String(repeating: line + "\n", count: 1100).write(toFile: path, atomically: true, encoding: .utf8)
        log.error("once more")
        #expect(FileManager.default.fileExists(atPath: path + ".1"))
        #expect(!FileManager.default.fileExists(atPath: path + ".2"))
        log.debug("not logged")
        #expect(try !String(contentsOfFile: path, encoding: .utf8).contains("not logged"))
    }
}
