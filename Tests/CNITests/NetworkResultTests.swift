import CNI
import Foundation
import JSON
import NetworkTypes
import Testing

@Suite struct NetworkResultTests {
    static let dualStack = NetworkResult(
        interfaces: [
            .init(name: "cali0d7763386da", mac: "ee:ee:ee:ee:ee:ee", mtu: 1450),
            .init(name: "eth0", mac: "0a:00:00:00:00:01", mtu: 1450, sandbox: "/run/netns/x", pciID: "0000:00:1f.0"),
        ],
        addresses: [
            .init(CIDR("10.80.0.1/32")!, interface: 1),
            .init(CIDR("fd00::1/128")!, gateway: IPAddress("fe80::1"), interface: 1),
        ],
        routes: [
            .init(CIDR("0.0.0.0/0")!, gateway: IPAddress("169.254.1.1")),
            .init(
                CIDR("::/0")!,
                gateway: IPAddress("fe80::1"),
                mtu: 1400,
                advertisedMSS: 1360,
                priority: 5,
                table: 254,
                scope: 0
            ),
        ],
        dns: DNS(nameservers: ["10.96.0.10"], domain: "local", search: ["svc"], options: ["ndots:5"])
    )

    /// What a consumer of each version sees, to the byte: the files in Tests/Golden/results.
    static func golden(_ name: String) throws -> String {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try String(contentsOf: tests.appending(path: "Golden/results/\(name).json"), encoding: .utf8)
    }

    @Test(arguments: SpecVersion.allCases)
    func goldenText(_ version: SpecVersion) throws {
        let golden = try Self.golden(version.rawValue)
        #expect(try Self.dualStack.json(version: version).text(indentation: 4) + "\n" == golden)
    }

    @Test func goldenErrorAndVersion() throws {
        let error = CNIError(
            .poolExhausted,
            "the IP pools are exhausted",
            details: "assigned 0 out of 1 requested IPv4 addresses; \"four\" is full"
        )
        #expect(try error.json(version: .latest).text(indentation: 4) + "\n" == Self.golden("error"))
        #expect(try SpecVersion.reply(toStdin: []).text(indentation: 4) + "\n" == Self.golden("version"))
    }

    static func decode(_ text: String, default version: SpecVersion = .v0_1_0) throws -> NetworkResult {
        guard case .object(let object) = try JSONValue(parsing: Array(text.utf8).span) else { return NetworkResult() }
        return try NetworkResult(decoding: ObjectReader(object), defaultVersion: version)
    }

    /// Reading back a version gives what that version can hold.
    @Test(arguments: SpecVersion.allCases)
    func readingBack(_ version: SpecVersion) throws {
        let text = try Self.dualStack.json(version: version).text()
        let result = try Self.decode(text)
        #expect(try result.json(version: version).text() == text)
        if version >= .v1_0_0 { #expect(result == Self.dualStack) }
        if version < .v0_3_0 {
            #expect(result.interfaces.isEmpty && result.addresses.allSatisfy { $0.interface == nil })
        }
    }

    @Test func resultWithoutVersionIsOfTheConfigurations() throws {
        let old = #"{"ip4":{"ip":"10.0.0.1/32"}}"#
        #expect(try Self.decode(old, default: .v0_2_0).addresses.count == 1)
        #expect(try Self.decode(old, default: .v1_0_0).addresses.isEmpty)
    }

    @Test func dnsIsThereBeforeOneAndOnlyWhenFilledSince() throws {
        let result = NetworkResult(addresses: [.init(CIDR("10.0.0.1/32")!)])
        #expect(
            try result.json(version: .v0_2_0).text() == #"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.1/32"},"dns":{}}"#
        )
        #expect(
            try result.json(version: .v0_4_0).text()
                == #"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.1/32"}],"dns":{}}"#
        )
        #expect(
            try result.json(version: .v1_0_0).text() == #"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/32"}]}"#
        )
    }

    @Test func interfaceZeroIsWritten() throws {
        let result = NetworkResult(
            interfaces: [.init(name: "eth0")],
            addresses: [.init(CIDR("10.0.0.1/32")!, interface: 0)]
        )
        #expect(try result.json(version: .v1_0_0).text().contains(#""interface":0"#))
        #expect(try Self.decode(try result.json(version: .v1_0_0).text()) == result)
    }

    @Test func oldFormTakesTheFirstOfEachFamilyAndItsRoutes() throws {
        let result = NetworkResult(
            addresses: [.init(CIDR("10.0.0.1/32")!), .init(CIDR("10.0.0.2/32")!)],
            routes: [.init(CIDR("::/0")!), .init(CIDR("10.0.0.0/8")!)]
        )
        #expect(
            try result.json(version: .v0_2_0).text()
                == #"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.1/32","routes":[{"dst":"10.0.0.0/8"}]},"dns":{}}"#
        )
        #expect(throws: CNIError.self) { try NetworkResult().json(version: .v0_1_0) }
    }

    @Test func mappedAddressCountsAsIPv4() throws {
        let result = NetworkResult(addresses: [.init(CIDR("::ffff:10.0.0.1/128")!)])
        #expect(try result.json(version: .v0_4_0).text().contains(#""version":"4""#))
        #expect(try result.json(version: .v0_2_0).text().contains(#""ip4":{"ip":"::ffff:10.0.0.1/128"}"#))
    }

    @Test func mergingShiftsIndices() {
        let first = NetworkResult(
            interfaces: [.init(name: "dummy")],
            addresses: [.init(CIDR("192.0.2.1/32")!, interface: 0)],
            dns: DNS(domain: "a")
        )
        let merged = first.merging(Self.dualStack)
        #expect(merged.interfaces.map(\.name) == ["dummy", "cali0d7763386da", "eth0"])
        #expect(merged.addresses.map(\.interface) == [0, 2, 2])
        #expect(merged.routes == Self.dualStack.routes)
        #expect(merged.dns == Self.dualStack.dns)
        #expect(first.merging(NetworkResult()).dns == DNS(domain: "a"))
    }
}
