import Foundation
import Glibc
import Logging
import NFTables
import NetworkTypes
import Synchronization
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// The backend against the kernel in memory: what it writes, and that it writes no more than it has to.
struct NFTablesBackendTests {
    private let kernel = FakeKernel()
    private let options = NFTablesOptions(
        localSources: [CIDR("10.9.0.0/16")!, CIDR("10.9.4.0/24")!, CIDR("fd09::/16")!]
    )

    private func makeBackend(_ options: NFTablesOptions? = nil) -> NFTablesBackend {
        NFTablesBackend(kernel: kernel, options: options ?? self.options, logger: silent)
    }

    private func table(_ family: IPFamily = .ipv4) -> ServiceTable { ServiceTable(family: family, options: options) }

    /// The slots of a frontend in `backends`, as read back.
    private func slots(of frontend: Frontend) throws -> [String] {
        guard case .readable(let observed) = try ObservedTable.read(table(frontend.key.family), from: kernel) else {
            return ["unreadable"]
        }
        return observed.entries[frontend.key]?.backends.map { $0.map { "\($0.address)" } ?? "-" } ?? []
    }

    @Test func aShorterListMovesOnlyTheLastBackend() async throws {
        let backend = makeBackend()
        let before = example(["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4"])
        _ = try await backend.start(with: [before])
        let after = example(["10.9.0.1", "10.9.0.3", "10.9.0.4"])
        #expect(try await backend.apply([.replace(old: before, new: after)]).isEmpty)
        // The fourth slot stays for packets that are under way, with a backend that is still there.
        #expect(try slots(of: after) == ["10.9.0.1", "10.9.0.4", "10.9.0.3", "10.9.0.4"])

        // The backend remembers the order, though the frontend's own list is sorted.
        let longer = example(["10.9.0.1", "10.9.0.3", "10.9.0.4", "10.9.0.9"])
        #expect(try await backend.apply([.replace(old: after, new: longer)]).isEmpty)
        #expect(try slots(of: longer) == ["10.9.0.1", "10.9.0.4", "10.9.0.3", "10.9.0.9"])
        #expect(try await backend.apply([.remove(longer)]).isEmpty)
        #expect(try slots(of: longer) == [])
    }

    @Test func anotherAddressTouchesNoVerdict() throws {
        let before = example(["10.9.0.1", "10.9.0.2", "10.9.0.3"], isLocal: false)
        let after = example(["10.9.0.1", "10.9.0.3", "10.9.0.7"], isLocal: false)
        var state = ServiceTableState()
        var first = ServiceTransaction(table: table())
        first.add(.add(before), state)
        state.apply(first.effects)
        var plan = ServiceTransaction(table: table())
        plan.add(.replace(old: before, new: after), state)
        var transaction = Transaction(table: table().table)
        plan.write(to: &transaction, state)
        // One element out of `backends`, one in.
        #expect(transaction.changeCount == 2)
    }

    @Test func aRestartThatFindsAllAsItShouldBeWritesNothing() async throws {
        let frontends = sampleFrontends
        let first = try await makeBackend().start(with: frontends)
        #expect(first.findings == [.ipv4: .created, .ipv6: .created])
        let generation = try kernel.generation()
        let second = try await makeBackend().start(with: frontends.shuffled())
        #expect(second.findings == [.ipv4: .adopted, .ipv6: .adopted])
        #expect(second.changes == 0)
        #expect(try kernel.generation() == generation)
    }

    @Test func aRestartWritesOnlyWhatDiffers() async throws {
        let before = example(["10.9.0.1", "10.9.0.2", "10.9.0.3"])
        _ = try await makeBackend().start(with: [before, example(["10.9.0.8"], service: 2)])
        let after = example(["10.9.0.2", "10.9.0.3", "10.9.0.4"])
        let start = try await makeBackend().start(with: [after])
        // A slot is replaced; the other service goes with its verdict, backend, cluster IP and local endpoint; the
        // two local endpoints change; its chain goes afterwards.
        #expect(start.findings[.ipv4] == .adopted)
        #expect(start.changes < 12)
        #expect(Set(try slots(of: after)) == ["10.9.0.2", "10.9.0.3", "10.9.0.4"])
        #expect(try kernel.elements(of: "frontends", in: table().table).count == 1)
        #expect(
            try kernel.chains(of: table().table).filter { $0.name.contains("pick") }.map(\.name) == [
                "masquerade-unless-local-pick-3"
            ]
        )
    }

    @Test func whatOthersBrokeIsMended() async throws {
        let frontends = sampleFrontends
        let backend = makeBackend()
        _ = try await backend.start(with: frontends)
        let expected = try holdings()
        var damage = Transaction(table: table().table)
        damage.flushChain("services")
        damage.flushSet("frontends")
        damage.flushSet("cluster-ips")
        damage.flushSet("local-sources")
        damage.add(Chain("foreign"))
        damage.add(Rule(chain: "foreign", [.verdict(.drop)]))
        damage.add(Rule(chain: "nat-prerouting", [.verdict(.jump("foreign"))]))
        try kernel.commit(damage)
        let repair = try await backend.start(with: frontends)
        #expect(repair.findings == [.ipv4: .adopted, .ipv6: .adopted])
        #expect(try holdings() == expected)
    }

    @Test func aTableOfAnotherMakeIsReplacedInOneCommit() async throws {
        var foreign = Transaction(table: Table(family: .ip, name: "swiftlet", comment: "layout 0"))
        foreign.addTable()
        foreign.add(Chain("old"))
        try kernel.commit(foreign)
        let generation = try kernel.generation()
        let start = try await makeBackend().start(with: sampleFrontends.filter { $0.key.family == .ipv4 })
        #expect(start.findings == [.ipv4: .replaced, .ipv6: .created])
        // One for each family, and for IPv4 no second.
        #expect(try kernel.generation() == generation + 2)
        #expect(try kernel.chains(of: table().table).contains { $0.name == "old" } == false)
    }

    @Test func aLostTableIsNoticed() async throws {
        let backend = makeBackend()
        let frontend = example(["10.9.0.1"])
        _ = try await backend.start(with: [frontend])
        var loss = Transaction(table: table().table)
        loss.deleteTable()
        try kernel.commit(loss)
        let failure = await #expect(throws: FamilyFailure.self) {
            try await backend.apply([.replace(old: frontend, new: example(["10.9.0.2"]))])
        }
        #expect(failure?.families == [.ipv4])
        #expect(failure?.reason as? ServiceBackendError == .lost("table ip swiftlet"))
        #expect(try await backend.start(with: [frontend]).findings[.ipv4] == .created)
    }

    @Test func aLostElementIsNotBlamedOnAFrontend() async throws {
        let backend = makeBackend()
        let frontend = example(["10.9.0.1"])
        _ = try await backend.start(with: [frontend])
        var loss = Transaction(table: table().table)
        loss.flushSet("backends")
        try kernel.commit(loss)
        let changed = example(["10.9.0.2"])
        let failure = await #expect(throws: FamilyFailure.self) {
            try await backend.apply([.replace(old: frontend, new: changed)])
        }
        #expect(failure?.reason is ServiceBackendError)
        #expect(try await backend.start(with: [changed]).findings[.ipv4] == .adopted)
        #expect(try await backend.apply([.replace(old: changed, new: frontend)]).isEmpty)
    }

    @Test func oneBadFrontendIsSetAsideAlone() async throws {
        let backend = makeBackend()
        let frontends = (1...40).map { example(["10.9.0.\($0)"], service: $0) }
        _ = try await backend.start(with: [])
        // Someone else's element is in the way of one of them.
        var obstacle = Transaction(table: table().table)
        obstacle.add(
            Element(Key.frontend(frontends[16].key), .verdict(.drop)),
            to: table().maps.service.frontends
        )
        try kernel.commit(obstacle)
        let refused = try await backend.apply(frontends.map { .add($0) })
        #expect(refused.map(\.frontend) == [frontends[16]])
        #expect(refused[0].reason.contains("172.30.0.17 . tcp . 80 of map frontends"))
        #expect(try kernel.elements(of: "frontends", in: table().table).count == 40)

        var removal = Transaction(table: table().table)
        removal.flushSet("frontends")
        try kernel.commit(removal)
        #expect(try await backend.start(with: frontends).refused.isEmpty)
        #expect(try await backend.apply([.remove(frontends[16])]).isEmpty)
    }

    @Test func chainsThatCannotBeRemovedAreCountedAndHinderNobody() async throws {
        let failures = Mutex<[IPFamily: Int]>([:])
        let backend = NFTablesBackend(
            kernel: kernel,
            options: options,
            onCleanupFailures: { family, count in failures.withLock { $0[family, default: 0] += count } },
            logger: silent
        )
        // More lengths of lists than chains may wait for their next use.
        let frontends = (1...ProgrammedTable.retainedChains + 8).map { length in
            example((1...length).map { "10.9.0.\($0)" }, service: length, isLocal: false)
        }
        _ = try await backend.start(with: frontends)
        // Someone else uses all of the chains.
        var obstacle = Transaction(table: table().table)
        let chains = try kernel.chains(of: table().table).filter { PickChain(name: $0.name) != nil }
        for (index, chain) in chains.enumerated() {
            let number = Key.number(UInt32(1 << 16 + index))
            obstacle.add(Element(number, .verdict(.goto(chain.name))), to: table().maps.frontendChains)
        }
        try kernel.commit(obstacle)
        #expect(try await backend.apply(frontends.map { .remove($0) }).isEmpty)
        let other = example(["10.9.0.1"], service: 250)
        #expect(try await backend.apply([.add(other)]).isEmpty)
        #expect(try slots(of: other) == ["10.9.0.1"])
        let count = failures.withLock { $0 }
        #expect(count[.ipv4].map { $0 > 0 } == true)
        #expect(count[.ipv6] == nil)
    }

    @Test func longNamesAreCut() async throws {
        let name = ServicePortName(
            namespace: String(repeating: "n", count: 63),
            name: String(repeating: "s", count: 63),
            port: "a-port-name-too",
            transport: .tcp
        )
        let frontend = Frontend(
            key: .address(address("172.30.0.1"), .tcp, 80),
            kind: .clusterIP,
            servicePort: name,
            route: Route(backends: [], masquerade: .never, whenEmpty: .reject)
        )
        _ = try await makeBackend().start(with: [frontend])
        let comment = try #require(try kernel.elements(of: "no-endpoints", in: table().table).first?.comment)
        #expect(comment.utf8.count <= 127 && comment.hasPrefix("nnn") && comment.hasSuffix("…"))
        #expect(try await makeBackend().start(with: [frontend]).changes == 0)
    }

    @Test func cleanupRemovesBothTables() async throws {
        _ = try await makeBackend().start(with: sampleFrontends)
        try await makeBackend().cleanup()
        #expect(try kernel.tables(.ip).isEmpty)
        #expect(try kernel.tables(.ip6).isEmpty)
        try await makeBackend().cleanup()
    }

    @Test func otherOptionsTakeEffectAtTheNextStart() async throws {
        _ = try await makeBackend().start(with: sampleFrontends)
        let other = NFTablesOptions(masqueradeBit: 10, nodePortAddresses: [.ipv4: .only([address("192.0.2.1")])])
        let changed = makeBackend(other)
        #expect(try await changed.start(with: sampleFrontends).findings[.ipv4] == .adopted)
        let after = try holdings()
        let fresh = FakeKernel()
        _ = try await NFTablesBackend(kernel: fresh, options: other, logger: silent).start(with: sampleFrontends)
        #expect(after == (try holdings(in: fresh)))
    }

    /// After any history, the table is the one that would have been made from scratch: but for the slots, which are
    /// a matter of history, and for what waits to be removed.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func anyHistoryEndsInTheSameTable(seed: UInt64) async throws {
        try await checkHistory(seed: seed, length: 150, in: kernel)
    }

    @Test(.enabled(if: isRoot), arguments: 7...8 as ClosedRange<UInt64>)
    func anyHistoryEndsInTheSameTableOfTheKernel(seed: UInt64) async throws {
        let namespace = try NetworkNamespace.create()
        let socket = try NetfilterSocket(in: namespace)
        try await checkHistory(seed: seed, length: 60, in: socket)
    }

    private func checkHistory(seed: UInt64, length: Int, in kernel: any NFTablesKernel) async throws {
        var random = SeededGenerator(seed: seed)
        let backend = NFTablesBackend(kernel: kernel, options: options, logger: silent)
        var current: [Frontend.Key: Frontend] = [:]
        _ = try await backend.start(with: [])
        for _ in 0..<length {
            var changes: [FrontendChange] = []
            var touched: Set<Frontend.Key> = []
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let new = randomFrontend(&random)
                guard touched.insert(new.key).inserted else { continue }
                if let old = current[new.key] {
                    if Bool.random(using: &random) {
                        changes.append(.replace(old: old, new: new))
                        current[new.key] = new
                    } else {
                        changes.append(.remove(old))
                        current[new.key] = nil
                    }
                } else {
                    changes.append(.add(new))
                    current[new.key] = new
                }
            }
            #expect(try await backend.apply(changes).isEmpty)
        }
        // Looking again removes what waited: idle chains, and slots beyond the end of lists.
        _ = try await backend.start(with: Array(current.values))
        let fresh = FakeKernel()
        _ = try await NFTablesBackend(kernel: fresh, options: options, logger: silent)
            .start(with: Array(current.values))
        #expect(try holdings(in: kernel) == holdings(in: fresh))
        #expect(try await backend.start(with: Array(current.values.shuffled())).changes == 0)
    }

    /// Once no packet can be under way any more, slots beyond the end of a list go with the next batch.
    @Test func surplusSlotsGoLater() throws {
        let clock = ManualClock()
        var programmed = ProgrammedTable(table: table(), kernel: kernel, now: { clock.now })
        let before = example(["10.9.0.1", "10.9.0.2", "10.9.0.3"])
        let after = example(["10.9.0.3"])
        let other = example(["10.9.0.7"], service: 2)
        _ = try programmed.start(with: [before])
        #expect(try programmed.apply([.replace(old: before, new: after)]).isEmpty)
        #expect(try slots(of: after) == ["10.9.0.3", "10.9.0.3", "10.9.0.3"])
        #expect(try programmed.apply([.add(other)]).isEmpty)
        #expect(try slots(of: after).count == 3)
        clock.advance(by: .seconds(2))
        #expect(try programmed.apply([.remove(other)]).isEmpty)
        #expect(try slots(of: after) == ["10.9.0.3"])
        #expect(try programmed.apply([.replace(old: after, new: before)]).isEmpty)
        #expect(try slots(of: before) == ["10.9.0.3", "10.9.0.1", "10.9.0.2"])
    }

    // MARK: Samples

    private func randomFrontend(_ random: inout SeededGenerator) -> Frontend {
        let family = IPFamily.allCases.randomElement(using: &random)!
        let prefix = family == .ipv4 ? "10.9.0." : "fd09::"
        func route(_ refusal: Route.Refusal) -> Route {
            let numbers = (1...9).filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            return Route(
                backends: numbers.map { Backend(address: address("\(prefix)\($0)"), port: 80, isLocal: $0 < 4) },
                masquerade: [.never, .always, .unlessLocal].randomElement(using: &random)!,
                whenEmpty: refusal,
                isLocalOnly: Bool.random(using: &random)
            )
        }
        let number = Int.random(in: 1...12, using: &random)
        let isNodePort = number > 9
        let serviceIP = address(family == .ipv4 ? "172.30.0.\(number / 2)" : "fd30::\(number / 2)")
        let transport = TransportProtocol.allCases.randomElement(using: &random)!
        return Frontend(
            key: isNodePort
                ? .nodePort(family, transport, UInt16(30000 + number))
                : .address(serviceIP, transport, UInt16(80 + number % 2)),
            kind: isNodePort ? .nodePort : number < 6 ? .clusterIP : .externalIP,
            servicePort: ServicePortName(
                namespace: "default",
                name: "s\(Int.random(in: 1...3, using: &random))",
                port: "",
                transport: transport
            ),
            route: route([.reject, .drop].randomElement(using: &random)!),
            nearRoute: Int.random(in: 0..<3, using: &random) == 0 ? route(.reject) : nil,
            allowedSources: Int.random(in: 0..<4, using: &random) > 0
                ? nil
                : ["10.0.0.0/8", "10.9.0.0/16", "192.0.2.0/25", "192.0.2.128/25", "fd00::/8"]
                    .filter { _ in Bool.random(using: &random) }.compactMap { CIDR($0) },
            affinityTimeout: [nil, nil, 60, 10_800].randomElement(using: &random)!
        )
    }

    private func holdings(in kernel: (any NFTablesKernel)? = nil) throws -> [String: Set<String>] {
        try tableHoldings(in: kernel ?? self.kernel, options)
    }
}

private func example(_ addresses: [String], service: Int = 1, isLocal: Bool = true) -> Frontend {
    Frontend(
        key: .address(address("172.30.0.\(service)"), .tcp, 80),
        kind: .clusterIP,
        servicePort: ServicePortName(namespace: "default", name: "web-\(service)", port: "http", transport: .tcp),
        route: Route(
            backends: addresses.map { Backend(address: address($0), port: 8080, isLocal: isLocal) },
            masquerade: .unlessLocal,
            whenEmpty: .reject
        )
    )
}

/// Some of everything, in both families.
let sampleFrontends: [Frontend] = IPFamily.allCases.flatMap { family -> [Frontend] in
    func ip(_ number: Int) -> IPAddress { address(family == .ipv4 ? "10.9.0.\(number)" : "fd09::\(number)") }
    func route(
        _ numbers: [Int],
        _ masquerade: Route.Masquerade,
        _ refusal: Route.Refusal = .reject
    ) -> Route {
        Route(
            backends: numbers.map { Backend(address: ip($0), port: 8080, isLocal: $0 == 1) },
            masquerade: masquerade,
            whenEmpty: refusal
        )
    }
    func name(_ name: String) -> ServicePortName {
        ServicePortName(namespace: "default", name: name, port: "http", transport: .tcp)
    }
    let service = address(family == .ipv4 ? "10.96.0.10" : "fd96::10")
    let other = address(family == .ipv4 ? "10.96.0.11" : "fd96::11")
    let outer = address(family == .ipv4 ? "203.0.113.5" : "fd03::5")
    return [
        Frontend(
            key: .address(service, .tcp, 80),
            kind: .clusterIP,
            servicePort: name("web"),
            route: route([1, 2], .unlessLocal)
        ),
        Frontend(
            key: .nodePort(family, .tcp, 30080),
            kind: .nodePort,
            servicePort: name("web"),
            route: route([1, 2], .always)
        ),
        Frontend(
            key: .address(outer, .tcp, 443),
            kind: .loadBalancerIP,
            servicePort: name("shop"),
            route: route([1], .never, .drop),
            nearRoute: route([1, 2, 3], .unlessLocal),
            allowedSources: [CIDR(family == .ipv4 ? "192.0.2.0/24" : "fd02::/64")!]
        ),
        Frontend(
            key: .address(other, .udp, 53),
            kind: .clusterIP,
            servicePort: name("dns"),
            route: route([], .unlessLocal)
        ),
    ]
}

private final class ManualClock: Sendable {
    private let time = Mutex(ContinuousClock.now)

    var now: ContinuousClock.Instant { time.withLock { $0 } }
    func advance(by duration: Duration) { time.withLock { $0 += duration } }
}
