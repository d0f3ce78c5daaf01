import ClusterClient
import Foundation
import IPAM
import NetworkTypes
import Synchronization
import TestSupport
import Testing

/// Random operations of several hosts at once, on a store in which everything goes wrong now and then.
@Suite struct FaultTests {
    private final class Faults: Sendable {
        private let random: Mutex<SeededGenerator>
        private let isOn = Mutex(false)

        init(seed: UInt64) {
            random = Mutex(SeededGenerator(seed: seed))
        }

        func turn(on: Bool) { isOn.withLock { $0 = on } }

        func next(_ operation: FaultyDatastore.Operation) -> FaultyDatastore.Fault? {
            guard isOn.withLock({ $0 }) else { return nil }
            return random.withLock { random in
                switch (Int.random(in: 0..<100, using: &random), operation) {
                case (0..<8, .commit): .conflict
                case (8..<14, .commit): .lostReply
                case (14..<18, .commit(let changes)): .stopBefore(Int.random(in: 0..<changes.count, using: &random))
                case (18..<22, _): .unavailable
                default: nil
                }
            }
        }
    }

    @Test(arguments: StoreUnderTest.allCases, 1...12 as ClosedRange<UInt64>)
    func randomOperationsKeepEverythingInOrder(_ kind: StoreUnderTest, _ seed: UInt64) async throws {
        // Stores outside of this process take their time.
        guard kind.isInMemory || seed <= 4 else { return }
        let faults = Faults(seed: seed)
        let instance = try await kind.make()
        let isAtomic = instance.store.commitsAtomically
        let store = FaultyDatastore(instance.store) { operation, _ in faults.next(operation) }
        let fixture = Fixture(store, keeping: instance)
        try await fixture.configure {
            $0.strictAffinity = seed % 4 == 0
            $0.ipCooldownSeconds = seed % 3 == 0 ? 5 : 0
        }
        try await fixture.allocator().ensurePools([
            fixture.pool("10.0.0.0/27", name: "four", blockSize: 30),
            fixture.pool("fd00::/123", name: "six", blockSize: 126),
        ])
        faults.turn(on: true)
        let expected = await withTaskGroup(of: [String: Set<IPAddress>].self) { group in
            for host in 0..<4 {
                group.addTask { await run(fixture, "node-\(host)", seed: seed * 10 + UInt64(host)) }
            }
            return await group.reduce(into: [:]) { $0.merge($1) { $1 } }
        }
        faults.turn(on: false)

        #expect(try await fixture.problems(exact: isAtomic) == [])
        var everything: [IPAddress] = []
        for (handle, addresses) in expected {
            let stored = try await fixture.allocator().addresses(ofHandle: handle).map(\.address)
            #expect(Set(stored) == addresses, "seed \(seed), \(handle)")
            everything += stored
        }
        #expect(Set(everything).count == everything.count)
        // Nothing is assigned that nobody knows of.
        var inUse = 0
        for family in IPFamily.allCases {
            for block in try await fixture.blocks(family) {
                inUse += block.allocations.indices.count { block.attribute($0)?.handle != nil }
            }
        }
        #expect(inUse == everything.count)

        for handle in expected.keys { try await fixture.allocator().release(handle: handle) }
        if !isAtomic {
            // Of containers that never got an address, which a DEL of theirs cleans up (X6).
            for case .handle(let handle) in try await fixture.store.keys(.handles) {
                #expect(try await fixture.allocator().release(handle: handle) == [])
            }
        }
        fixture.clock.advance(.seconds(100))
        #expect(try await fixture.problems(exact: isAtomic) == [])
        #expect(try await fixture.store.list(.handles).isEmpty)
        for block in try await fixture.blocks() + fixture.blocks(.ipv6) {
            #expect(block.allocations.indices.allSatisfy { block.attribute($0)?.handle == nil })
        }
    }

    /// One host's life; what its containers have in the end.
    private func run(_ fixture: Fixture, _ host: String, seed: UInt64) async -> [String: Set<IPAddress>] {
        var random = SeededGenerator(seed: seed)
        var owned: [String: Set<IPAddress>] = [:]
        let allocator = fixture.allocator(host)
        for _ in 0..<60 {
            let pod = "\(host)-\(Int.random(in: 0..<5, using: &random))"
            let handles = [pod, pod + "-next"].shuffled(using: &random)
            let handle = handles[0]
            let interface = Bool.random(using: &random) ? "eth0" : "net1"
            let attachment = request(handle, interface, ipv4: 1, ipv6: Bool.random(using: &random) ? 1 : 0)
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<5:
                do throws(IPAMError) {
                    let addresses = try await allocator.assign(attachment).map(\.address)
                    owned[handle, default: []].formUnion(addresses)
                } catch {
                    switch error {
                    case .poolExhausted, .strictAffinity, .blockLimit: break
                    default: Issue.record("\(error)")
                    }
                }
            case 5..<8:
                do throws(IPAMError) {
                    let before = try await allocator.addresses(ofHandle: handle, interface: interface).map(\.address)
                    let released = try await allocator.release(handle: handle, interface: interface)
                    #expect(Set(released) == Set(before))
                    owned[handle]?.subtract(released)
                } catch {
                    Issue.record("\(error)")
                }
            case 8:
                guard let address = owned[handle]?.min() else { continue }
                do throws(IPAMError) {
                    _ = try await allocator.release([ReleaseOptions(address: address, handle: handle)])
                } catch {
                    // After a lost reply the address may have a new owner by the time of the second try (X4).
                    if case .staleRelease = error {} else { Issue.record("\(error)") }
                }
                owned[handle]?.remove(address)
            case 9, 10:
                // The Pod's next sandbox asks for the address of the last (C16).
                do throws(IPAMError) {
                    let held = try await allocator.addresses(ofHandle: handle)
                    guard let old = held.randomElement(using: &random) else { continue }
                    let successor = request(handles[1], ipv4: 0) {
                        $0.requested = [old.address]
                        $0.attributes = old.attributes
                    }
                    #expect(try await allocator.assign(successor).map(\.address) == [old.address])
                    owned[handle]?.remove(old.address)
                    owned[handles[1], default: []].insert(old.address)
                } catch {
                    // It was borrowed before that was forbidden.
                    if case .strictAffinity = error {} else { Issue.record("\(error)") }
                }
            default:
                fixture.clock.advance(.seconds(Int.random(in: 0...30, using: &random)))
            }
        }
        return owned
    }
}
