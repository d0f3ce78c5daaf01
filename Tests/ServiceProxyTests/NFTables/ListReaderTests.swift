import Logging
import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// Lists that are looked up slot by slot come out as those that are listed.
@Suite struct ListReaderTests {
    private static let options = NFTablesOptions()
    private let table = ServiceTable(family: .ipv4, options: Self.options)

    private func frontend(_ service: UInt8, _ endpoints: [UInt8], isRemembered: Bool = false) -> Frontend {
        func backends(_ ends: [UInt8]) -> [Backend] {
            ends.map { Backend(address: .v4(IPv4Address(10, 9, service, $0)), port: 80, isLocal: false) }
        }
        return Frontend(
            key: .address(.v4(IPv4Address(10, 96, 0, service)), .tcp, 80),
            kind: .loadBalancerIP,
            servicePort: ServicePortName(namespace: "a", name: "s\(service)", port: "", transport: .tcp),
            route: Route(backends: backends(endpoints), masquerade: .never, whenEmpty: .reject),
            nearRoute: service % 3 == 0
                ? Route(backends: backends(endpoints + [200]), masquerade: .always, whenEmpty: .drop) : nil,
            affinityTimeout: isRemembered ? 60 : nil
        )
    }

    /// A table after some changes: lists out of order, slots beyond the ends of lists, and several kinds of lists.
    private func makeTable(in kernel: some NFTablesKernel) throws -> [Frontend] {
        var programmed = ProgrammedTable(table: table, kernel: kernel)
        var frontends = (1...9).map { frontend($0, Array(1...($0 + 3)), isRemembered: $0 % 2 == 0) }
        _ = try programmed.start(with: frontends)
        for index in frontends.indices {
            let number = UInt8(index + 1)
            let next = frontend(number, Array(3...(number + 3)), isRemembered: number % 2 == 0)
            _ = try programmed.apply([.replace(old: frontends[index], new: next)])
            frontends[index] = next
        }
        return frontends
    }

    private func entries(
        _ kernel: some NFTablesKernel,
        _ frontends: [Frontend],
        limit: Int
    ) throws -> [Frontend.Key: Entry]? {
        let reading = try ObservedTable.read(table, from: kernel, expecting: frontends, listingLimit: limit)
        guard case .readable(let observed) = reading else { return nil }
        return observed.entries
    }

    private func expectSameEntries(in kernel: some NFTablesKernel) throws {
        let frontends = try makeTable(in: kernel)
        let listed = try #require(try entries(kernel, frontends, limit: .max))
        #expect(listed.values.contains { $0.backends.count > 8 })
        #expect(try entries(kernel, frontends, limit: 0) == listed)

        // Holes, one of them at the end.
        var holes = Transaction(table: table.table)
        for (service, slot) in [(5 as UInt8, 0), (5, 3), (7, 7), (7, 8), (7, 9)] {
            let key = Key.slot(slot, of: Key.frontend(frontend(service, []).key))
            holes.delete(Element(key), from: table.maps.service.backends)
        }
        try kernel.commit(holes)
        let damaged = try #require(try entries(kernel, frontends, limit: .max))
        #expect(try entries(kernel, frontends, limit: 0) == damaged)
        #expect(damaged != listed)

        // Without the map of frontends, only what is wanted tells where lists are.
        var loss = Transaction(table: table.table)
        loss.flushSet("frontends")
        try kernel.commit(loss)
        let beheaded = try #require(try entries(kernel, frontends, limit: 0))
        #expect(beheaded[frontends[0].key]?.backends == listed[frontends[0].key]?.backends)
    }

    @Test func inMemory() throws {
        try expectSameEntries(in: FakeKernel())
    }

    @Test(.enabled(if: isRoot)) func inTheKernel() throws {
        try expectSameEntries(in: NetfilterSocket(in: .makeContainer()))
    }

    /// More lists than fit into one request, and one that is longer than what is asked for at once.
    @Test(.enabled(if: isRoot)) func manyLists() throws {
        let kernel = try NetfilterSocket(in: .makeContainer())
        let long = Frontend(
            key: .address(.v4(IPv4Address(10, 97, 0, 1)), .tcp, 80),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "a", name: "long", port: "", transport: .tcp),
            route: Route(
                backends: (0..<3000).map {
                    Backend(address: .v4(IPv4Address(bits: 10 << 24 | UInt32($0))), port: 80, isLocal: false)
                },
                masquerade: .never,
                whenEmpty: .reject
            )
        )
        let frontends = [long] + (1...250).map { frontend($0, Array(1...20)) }
        var first = ProgrammedTable(table: table, kernel: kernel)
        #expect(try first.start(with: frontends).finding == .created)
        #expect(
            try entries(kernel, frontends, limit: 0)?.mapValues(\.backends)
                == entries(kernel, frontends, limit: .max)?.mapValues(\.backends)
        )
    }
}
