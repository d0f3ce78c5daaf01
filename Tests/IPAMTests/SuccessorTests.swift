import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// A Pod that asks for its address again in a new sandbox, while the old one's DEL was never made (C16).
@Suite struct SuccessorTests {
    private static let wanted = ["10.0.0.6", "fd00::6"].map { IPAddress($0)! }

    private func fixture(_ kind: StoreKind) async throws -> Fixture {
        let fixture = try Fixture(kind)
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/28", name: "four", blockSize: 30),
            fixture.pool("fd00::/124", name: "six", blockSize: 126),
        ])
        return fixture
    }

    private func sandbox(_ handle: String, _ edit: (inout [String: String]) -> Void = { _ in }) -> AssignmentRequest {
        request(handle, ipv4: 0) { request in
            request.requested = Self.wanted
            request.attributes["pod"] = "web-0"
            edit(&request.attributes)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func itKeepsTheAddresses(_ kind: StoreKind) async throws {
        let fixture = try await fixture(kind)
        // What is handed on does not rest in between.
        try await fixture.configure { $0.ipCooldownSeconds = 60 }
        let allocator = fixture.allocator()
        let old = try await allocator.assign(sandbox("old"))
        let extra = try await allocator.assign(request("old", "net1"))[0].address
        let new = try await allocator.assign(sandbox("new"))
        #expect(new.map(\.address) == Self.wanted)
        #expect(new.map(\.handle) == ["new", "new"])
        #expect(try await fixture.problems(exact: true) == [])
        #expect(try await allocator.assign(sandbox("new")) == new)

        // Whoever comes late for the old sandbox takes nothing.
        let stale = old.map { ReleaseOptions(address: $0.address, sequenceNumber: $0.sequenceNumber) }
        await #expect(throws: IPAMError.self) { try await allocator.release(stale) }
        #expect(try await allocator.release(handle: "old") == [extra])
        #expect(try await allocator.addresses(ofHandle: "new").map(\.address) == Self.wanted)
        #expect(try await allocator.release(handle: "new").count == 2)
        #expect(try await fixture.store.list(.handles).isEmpty)
        #expect(try await fixture.problems(exact: true) == [])
    }

    @Test(arguments: [("pod", "web-1"), ("namespace", "other"), ("node", "node-b"), ("ifname", "net1")])
    func nobodyElseDoes(_ attribute: String, _ value: String) async throws {
        let fixture = try await fixture(.transactional)
        _ = try await fixture.allocator().assign(sandbox("old"))
        let error = await #expect(throws: IPAMError.self) {
            try await fixture.allocator().assign(sandbox("new") { $0[attribute] = value })
        }
        #expect(error == .addressUnavailable(Self.wanted[0], "is already assigned to handle old"))
        // Nor what is no Pod.
        let nameless = await #expect(throws: IPAMError.self) {
            try await fixture.allocator().assign(sandbox("new") { $0["pod"] = nil })
        }
        #expect(nameless == .addressUnavailable(Self.wanted[0], "is already assigned to handle old"))
        #expect(try await fixture.allocator().addresses(ofHandle: "old").count == 2)
    }

    /// At any step of it the Pod has the address, or has it again when it asks once more.
    @Test(arguments: StoreKind.allCases, [false, true])
    func itEndsAtAnyStep(_ kind: StoreKind, _ isDone: Bool) async throws {
        for step in 0..<12 {
            let fixture = try await fixture(kind)
            _ = try await fixture.allocator().assign(sandbox("old"))
            let dying = fixture.allocator(dyingAt: step, isDone: isDone)
            _ = try? await dying.assign(sandbox("new"))
            #expect(try await fixture.problems(exact: false) == [])
            #expect(try await fixture.allocator().assign(sandbox("new")).map(\.address) == Self.wanted)
            #expect(try await fixture.allocator().release(handle: "old") == [])
            #expect(try await fixture.allocator().release(handle: "new").count == 2)
            #expect(try await fixture.store.list(.handles).isEmpty)
            #expect(try await fixture.problems(exact: true) == [])
        }
    }
}
