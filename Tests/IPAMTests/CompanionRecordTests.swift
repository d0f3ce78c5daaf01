import ClusterClient
import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

/// What a caller writes in the transaction that assigns or releases addresses: with them, or not at all.
@Suite struct CompanionRecordTests {
    private let key = RecordKey.resource(.workloadEndpoints, namespace: "default", name: "pod")

    private func value(_ addresses: [AssignedAddress]) -> Data {
        Data(addresses.map(\.address.description).joined(separator: ",").utf8)
    }

    @Test(arguments: [StoreKind.transactional, .local])
    func itComesAndGoesWithTheAddresses(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        let assigned = try await allocator.assign(request("a")) { (assigned) throws(DatastoreError) in
            [.create(key, value(assigned))]
        }
        #expect(try await fixture.store.get(key)?.value == value(assigned))
        let revision = try #require(try await fixture.store.get(key)?.revision)
        let released = try await allocator.release(handle: "a") { () throws(DatastoreError) in [.delete(key, revision)]
        }
        #expect(released == assigned.map(\.address))
        #expect(try await fixture.store.get(key) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// One that is out of date makes for another attempt, at which it is made anew.
    @Test(arguments: [StoreKind.transactional, .local])
    func itIsMadeAnewForEachAttempt(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        _ = try await fixture.store.commit([.create(key, Data("someone's".utf8))])
        var attempts = 0
        let assigned = try await allocator.assign(request("a")) { (assigned) async throws(DatastoreError) in
            attempts += 1
            if attempts == 1 { return [.create(key, value(assigned))] }
            let revision = try await fixture.store.get(key)?.revision
            return revision.map { [.update(key, value(assigned), $0)] } ?? []
        }
        #expect(attempts == 2)
        #expect(try await fixture.store.get(key)?.value == value(assigned))
        #expect(try await fixture.problems(exact: true) == [])

        attempts = 0
        let released = try await allocator.release(handle: "a") { () async throws(DatastoreError) in
            attempts += 1
            let revision = try await fixture.store.get(key)?.revision
            return revision.map { [.delete(key, attempts == 1 ? Revision("of long ago") : $0)] } ?? []
        }
        #expect(attempts == 2)
        #expect(released == assigned.map(\.address))
        #expect(try await fixture.store.get(key) == nil)
    }

    /// What cannot be told makes all of it fail, and nothing is written.
    @Test(arguments: [StoreKind.transactional, .local])
    func itsFailureIsTheWholeOnes(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        await #expect(throws: IPAMError.self) {
            try await allocator.assign(request("a")) { (_) throws(DatastoreError) in
                throw DatastoreError(.corrupt, key, "no record")
            }
        }
        #expect(try await fixture.store.get(.handle("a")) == nil)
        #expect(try await fixture.problems(exact: true) == [])
    }

    /// Addresses that are there already, by a request whose answer was lost, have it written, too (X7); a handle that is
    /// not there has nothing to be written beside.
    @Test(arguments: [StoreKind.transactional, .local])
    func itIsAskedForWhereverThereIsATransaction(_ kind: StoreKind) async throws {
        let fixture = try Fixture(kind)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        let first = try await allocator.assign(request("a"))
        let again = try await allocator.assign(request("a")) { (assigned) throws(DatastoreError) in
            [.create(key, value(assigned))]
        }
        #expect(again == first)
        #expect(try await fixture.store.get(key)?.value == value(first))
        var isAsked = false
        _ = try await allocator.release(handle: "nobody's") { () throws(DatastoreError) in
            isAsked = true
            return []
        }
        #expect(!isAsked)
    }

    @Test func withoutTransactionsNobodyAsks() async throws {
        let fixture = try Fixture(.ordered)
        let allocator = fixture.allocator()
        try await allocator.ensurePools([fixture.pool("10.80.0.0/24")])
        var isAsked = false
        _ = try await allocator.assign(request("a")) { (_) throws(DatastoreError) in
            isAsked = true
            return []
        }
        _ = try await allocator.release(handle: "a") { () throws(DatastoreError) in
            isAsked = true
            return []
        }
        #expect(!isAsked)
    }
}
