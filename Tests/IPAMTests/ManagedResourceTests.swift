import ClusterClient
import JSON
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct ManagedResourceTests {
    private func resource(_ kind: String, _ name: String, _ spec: String) throws -> ManagedResource {
        let text = #"""
            {"apiVersion":"projectcalico.org/v3","kind":"\#(kind)","metadata":{"name":"\#(name)"},"spec":\#(spec)}
            """#
        return try ManagedResource(document: try JSONValue(parsing: Array(text.utf8).span))
    }

    @Test(arguments: [
        ("IPPool", "default", #"{"cidr":"10.80.0.0/16","blocksize":26}"#, "unknown field \"blocksize\""),
        ("IPPool", "default", "{}", "cidr is missing"),
        ("IPPool", "default", #"{"cidr":"10.80.0.1/16"}"#, "has host bits"),
        ("IPPool", "Default", #"{"cidr":"10.80.0.0/16"}"#, "no valid name"),
        ("IPPool", "default", #"{"cidr":"10.80.0.0/16","nodeSelector":"has("}"#, "IPPool default: "),
        ("IPReservation", "r", #"{"reservedCIDRs":["10.80.0.0/33"]}"#, "is not a CIDR"),
        ("IPAMConfiguration", "other", "{}", "there is only one"),
        ("IPAMConfiguration", "default", #"{"autoAllocateBlocks":false}"#, "cannot both be false"),
        ("IPAMConfiguration", "default", #"{"maxBlocksPerHost":5}"#, "needs strictAffinity"),
        ("IPAMConfiguration", "default", #"{"ipCooldownSeconds":1201}"#, "not between 0 and 1200"),
        ("IPAMConfiguration", "default", #"{"kubeVirtVMAddressPersistence":"Maybe"}"#, "neither Enabled nor Disabled"),
        ("BGPPeer", "x", "{}", "is none of IPPool"),
    ])
    func whatIsWrongIsNamed(_ kind: String, _ name: String, _ spec: String, _ problem: String) {
        #expect {
            try resource(kind, name, spec)
        } throws: { "\($0)".contains(problem) }
    }

    @Test(arguments: [
        ("IPPool", "a", #"{"cidr":"10.80.0.0/16","blockSize":27,"natOutgoing":true}"#),
        ("IPReservation", "b", #"{"reservedCIDRs":["10.80.0.0/30"]}"#),
        ("IPAMConfiguration", "default", #"{"strictAffinity":true,"maxBlocksPerHost":3}"#),
        ("Node", "n", #"{"bgp":{"ipv4Address":"10.0.0.1/24"},"vxlanTunnelMACAddr":"66:00:00:00:00:01"}"#),
    ])
    func whatIsShownCanBeApplied(_ kind: String, _ name: String, _ spec: String) async throws {
        let fixture = Fixture(MemoryDatastore())
        let administration = fixture.administration
        let resource = try resource(kind, name, spec)
        #expect(try await administration.put(resource, existing: .replace) == .created)
        let stored = try #require(try await administration.resources(resource.kind, named: name).first)
        #expect(
            try await administration.put(try ManagedResource(document: stored.document), existing: .replace)
                == .unchanged
        )
        #expect(try await administration.resources(resource.kind) == [stored])
        await #expect(throws: IPAMError.self) { try await administration.put(resource, existing: .refuse) }
        #expect(try await administration.put(resource, existing: .keep) == .exists)
        #expect(try await administration.delete(resource.kind, named: name))
        #expect(try await !administration.delete(resource.kind, named: name))
    }

    @Test(arguments: [
        ("{}", "is needed"), (#"{"name": false}"#, "put it in quotes"), (#"{"name": 5}"#, "not a string"),
    ])
    func aNameIsAString(_ metadata: String, _ problem: String) throws {
        let text = #"{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":\#(metadata),"spec":{}}"#
        let document = try JSONValue(parsing: Array(text.utf8).span)
        #expect {
            try ManagedResource(document: document)
        } throws: { "\($0)".hasPrefix("IPPool: metadata.name ") && "\($0)".contains(problem) }
    }

    @Test func settingsThatAreLeftOutAreTheDefaults() throws {
        let expected = IPAMConfiguration()
        #expect(try resource("IPAMConfiguration", "default", "{}") == .configuration(expected))
        guard
            case .configuration(let strict) = try resource("IPAMConfiguration", "default", #"{"strictAffinity":true}"#)
        else { return #expect(Bool(false)) }
        #expect(strict.autoAllocateBlocks)
    }

    @Test func whatCannotBeChangedIsNot() async throws {
        let fixture = Fixture(MemoryDatastore())
        let administration = fixture.administration
        try await administration.put(resource("IPPool", "a", #"{"cidr":"10.80.0.0/16"}"#), existing: .refuse)
        for spec in [#"{"cidr":"10.81.0.0/16"}"#, #"{"cidr":"10.80.0.0/16","blockSize":27}"#] {
            await #expect(throws: IPAMError.self) {
                try await administration.put(resource("IPPool", "a", spec), existing: .replace)
            }
        }
        await #expect(throws: IPAMError.self) {
            try await administration.put(
                resource("IPPool", "b", #"{"cidr":"10.80.128.0/17"}"#),
                existing: .replace
            )
        }
        let changed = try resource("IPPool", "a", #"{"cidr":"10.80.0.0/16","disabled":true}"#)
        #expect(try await administration.put(changed, existing: .replace) == .configured)
        await #expect(throws: IPAMError.self) { try await fixture.allocator().assign(request("a")) }
    }

    /// Pods keep the addresses of a pool that is deleted, nobody gets new ones, and what they give back goes.
    @Test func aPoolThatGoesLeavesItsAddresses() async throws {
        let fixture = Fixture(MemoryDatastore())
        let allocator = fixture.allocator()
        try await fixture.administration.put(
            resource("IPPool", "a", #"{"cidr":"10.80.0.0/24","blockSize":30}"#),
            existing: .refuse
        )
        for number in 0..<6 { _ = try await allocator.assign(request("h\(number)")) }
        for number in 0..<4 { try await allocator.release(handle: "h\(number)") }
        #expect(try await fixture.blocks().count == 2)
        #expect(try await fixture.administration.delete(.pool, named: "a"))
        let blocks = try await fixture.blocks()
        #expect(blocks.map(\.affinity) == [nil])
        #expect(blocks.first?.inUseCount == 2)
        await #expect(throws: IPAMError.self) { try await allocator.assign(request("new")) }
        for number in 4..<6 { try await allocator.release(handle: "h\(number)") }
        #expect(try await fixture.blocks().isEmpty)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: [
        ("ippool", ManagedResource.Kind.pool), ("IPPools", .pool), ("ipreservations", .reservation),
        ("ipamconfig", .configuration), ("IPAMConfiguration", .configuration), ("nodes", .node),
    ])
    func kindsAreCalledInManyWays(_ name: String, _ kind: ManagedResource.Kind) {
        #expect(ManagedResource.Kind(name: name) == kind)
    }
}
