import Glibc
import Logging
import NetworkTypes
import Synchronization
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// What the backend writes with the real tools, in both families: starts, takeovers, damages, faults.
@Suite(.enabled(if: isRoot), .serialized)
struct IPTablesBackendTests {
    private let namespace: NetworkNamespace

    init() throws { namespace = try NetworkNamespace.makeContainer() }

    private func tools(_ mode: TestBackend, in other: NetworkNamespace? = nil) throws -> IPTablesTools {
        IPTablesTools(try #require(mode.flavour), lockWait: 60, prefix: (other ?? namespace).entering)
    }

    private func backend(
        _ mode: TestBackend,
        in other: NetworkNamespace? = nil,
        _ options: IPTablesOptions = IPTablesOptions(Surroundings(localSources: .within(TestNode.podNetworks))),
        healthChecks: HealthCheckNodePorts = HealthCheckNodePorts(),
        canaryInterval: Duration = .seconds(30),
        restores: Restores? = nil
    ) throws -> IPTablesBackend {
        IPTablesBackend(
            tools: try tools(mode, in: other),
            options: options,
            healthChecks: healthChecks,
            canaryInterval: canaryInterval,
            enableLocalRoutes: {},
            onRestore: { restores?.add($0) },
            logger: silent
        )
    }

    /// The tables without what does not matter: counters, and the order of rules that exclude each other.
    private func saved(_ mode: TestBackend, in other: NetworkNamespace? = nil) async throws -> [String] {
        let tools = try tools(mode, in: other)
        var lines: [String] = []
        for family in IPFamily.allCases {
            for table in RuleTable.allCases {
                let saved = SavedTable(table, in: try await tools.save(family, table))
                for (chain, rules) in saved.chains {
                    let isShared = ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL"]
                        .contains(chain)
                    let owned = rules.filter { SavedTable.owner(of: $0) != nil }
                    let rest = rules.filter { SavedTable.owner(of: $0) == nil }
                    if isShared { #expect(rules.suffix(rest.count) == rest[...], "\(rules)") }
                    for rule in isShared ? owned.sorted() + rest : rules {
                        lines.append("\(family) \(table.rawValue) \(chain) \(rule)")
                    }
                    if rules.isEmpty { lines.append("\(family) \(table.rawValue) \(chain)") }
                }
                lines += saved.jumps.map { "\(family) \(table.rawValue) \($0.chain) \($0.rule)" }
            }
        }
        return lines.sorted { $0.prefix { $0 != " " } < $1.prefix { $0 != " " } }.sorted()
    }

    @Test(arguments: TestBackend.iptables)
    func aRestartFindsNothingToDo(mode: TestBackend) async throws {
        let frontends = samples + [affine(60), affine(nil, port: 81)]
        let first = try await backend(mode).start(with: frontends)
        #expect(first.findings == [.ipv4: .created, .ipv6: .created])
        #expect(first.refused.isEmpty)
        let before = try await saved(mode)
        let restores = Restores()
        let second = try await backend(mode, restores: restores).start(with: frontends)
        #expect(second.findings == [.ipv4: .adopted, .ipv6: .adopted])
        #expect(second.changes == 0)
        #expect(restores.all.isEmpty)
        #expect(try await saved(mode) == before)

        // What went meanwhile is told, and only that is touched.
        let gone = frontends[0]
        let third = try await backend(mode, restores: restores).start(with: Array(frontends.dropFirst()))
        #expect(third.removed == [gone.key])
        #expect(third.changes > 0 && third.changes < 20)
        try await backend(mode).cleanup()
        #expect(try await saved(mode) == [])
        for family in IPFamily.allCases {
            #expect(!(try await tools(mode).save(family)).contains("KUBE"))
        }
    }

    /// A large first start is written in several runs, and is the same as one.
    @Test(arguments: TestBackend.iptables)
    func aLargeStartIsWrittenInRuns(mode: TestBackend) async throws {
        let frontends = (1...250).map { number in
            example((1...16).map { "10.9.\(number).\($0)" }, service: number)
        }
        let restores = Restores()
        #expect(try await backend(mode, restores: restores).start(with: frontends).refused.isEmpty)
        let runs = restores.all.filter { $0.family == .ipv4 && $0.table == "nat" }
        #expect(runs.count == 3)  // What is for all, and two halves.
        #expect(runs.allSatisfy { $0.ruleCount < StartPlan.runLimit })
        #expect(runs.last?.total == runs.reduce(0) { $0 + $1.ruleCount })
        #expect(try await backend(mode).start(with: frontends).changes == 0)
    }

    @Test(arguments: TestBackend.iptables)
    func aChangeWritesOnlyItself(mode: TestBackend) async throws {
        let restores = Restores()
        let backend = try backend(mode, restores: restores)
        let others = (1...50).map { example(["10.9.0.1", "10.9.0.2"], service: $0) }
        _ = try await backend.start(with: others)
        restores.clear()
        let next = example(["10.9.0.2", "10.9.0.3"], service: 7)
        #expect(try await backend.apply([.replace(old: others[6], new: next)]).isEmpty)
        // The list and one new endpoint, in one table of one family.
        #expect(restores.all.map(\.table) == ["nat"])
        #expect(restores.all[0].ruleCount <= 6)
        restores.clear()
        let none = example([], service: 7)
        #expect(try await backend.apply([.replace(old: next, new: none)]).isEmpty)
        // Refused before it is translated no longer, and the other way round.
        #expect(restores.all.map(\.table) == ["filter", "nat"])
        restores.clear()
        #expect(try await backend.apply([.replace(old: none, new: next)]).isEmpty)
        #expect(restores.all.map(\.table) == ["nat", "filter"])
        restores.clear()
        #expect(try await backend.apply([.remove(next)]).isEmpty)
        #expect(restores.all.map(\.ruleCount) == [0])
    }

    /// Whatever the history, the end is as after a fresh start.
    @Test(arguments: TestBackend.iptables, [UInt64(1), 2, 3])
    func randomHistoriesEndAsAFreshStart(mode: TestBackend, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var current: [Frontend.Key: Frontend] = [:]
        var programmed = try backend(mode)
        _ = try await programmed.start(with: [])
        for step in 0..<25 {
            var changes: [Frontend.Key: FrontendChange] = [:]
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let frontend = randomFrontend(&random)
                guard changes[frontend.key] == nil else { continue }
                if let old = current[frontend.key] {
                    let isGone = Bool.random(using: &random)
                    changes[frontend.key] = isGone ? .remove(old) : .replace(old: old, new: frontend)
                    current[frontend.key] = isGone ? nil : frontend
                } else {
                    changes[frontend.key] = .add(frontend)
                    current[frontend.key] = frontend
                }
            }
            if step % 8 == 7 {
                programmed = try backend(mode)
                let start = try await programmed.start(with: Array(current.values))
                #expect(start.refused.isEmpty)
            } else {
                let refused = try await programmed.apply(Array(changes.values))
                #expect(refused.isEmpty, "\(refused)")
            }
        }
        let fresh = try NetworkNamespace.makeContainer()
        _ = try await backend(mode, in: fresh).start(with: Array(current.values))
        #expect(try await saved(mode) == saved(mode, in: fresh))
        #expect(try await backend(mode).start(with: Array(current.values)).changes == 0)
    }

    /// kube-proxy's chains have the same names: nothing of them is touched unless asked for.
    @Test(arguments: TestBackend.iptables)
    func chainsOfKubeProxyAreTakenOverOnlyWhenAsked(mode: TestBackend) async throws {
        let options = IPTablesOptions(Surroundings(localSources: .within(TestNode.podNetworks)))
        let stale = example(["10.9.0.9"], service: 9)
        let kept = example(["10.9.0.1"], service: 1)
        _ = try await backend(mode).start(with: [stale, kept])
        // As kube-proxy leaves it: the same without our mark, and a canary of its own.
        for family in IPFamily.allCases {
            let program = try tools(mode).flavour.program(family)
            for table in RuleTable.allCases {
                for words in [["-F", "SWIFTLET-CANARY"], ["-X", "SWIFTLET-CANARY"], ["-N", "KUBE-PROXY-CANARY"]] {
                    try namespace.run(program, ["-w", "60", "-t", table.rawValue] + words)
                }
            }
        }
        let before = try await saved(mode)
        let error = await #expect(throws: FamilyFailure.self) { try await backend(mode).start(with: [kept]) }
        #expect("\(try #require(error))".contains("--replace-kube-proxy"))
        #expect(try await tools(mode).removeAll(.ipv4) == 0)
        #expect(try await saved(mode) == before)

        var replacing = options
        replacing.replacesKubeProxy = true
        let start = try await backend(mode, replacing).start(with: [kept])
        #expect(start.findings == [.ipv4: .replaced, .ipv6: .replaced])
        #expect(start.removed == [stale.key])
        let fresh = try NetworkNamespace.makeContainer()
        _ = try await backend(mode, in: fresh).start(with: [kept])
        #expect(try await saved(mode) == saved(mode, in: fresh))
    }

    /// What others flushed is noticed, and put back by the next start; rules of others stay.
    @Test(arguments: TestBackend.iptables)
    func aFlushIsNoticed(mode: TestBackend) async throws {
        let backend = try backend(mode, canaryInterval: .milliseconds(50))
        _ = try await backend.start(with: samples)
        let intact = try await saved(mode)
        let program = try tools(mode).flavour.program(.ipv4)
        try namespace.run(program, ["-w", "60", "-A", "INPUT", "-p", "icmp", "-j", "ACCEPT"])
        var drifts = backend.drifts.makeAsyncIterator()
        let commands = [
            ["-t", "nat", "-F"], ["-t", "filter", "-F", "SWIFTLET-CANARY"], ["-t", "nat", "-F", "PREROUTING"],
            ["-t", "filter", "-F", "FORWARD"],
        ]
        for command in commands {
            try namespace.run(program, ["-w", "60"] + command)
            let drift = try #require(await drifts.next())
            #expect(drift.what.contains(command[1]))
            #expect(try await backend.start(with: samples).changes > 0)
            #expect(try await saved(mode) == intact)
        }
        #expect(try await tools(mode).save(.ipv4).contains("-A INPUT -p icmp -j ACCEPT"))
    }

    /// Somebody's rule leads into a chain of ours, so that it cannot go: only its Service suffers, and until that rule goes.
    @Test(arguments: TestBackend.iptables)
    func aServicePortThatIsRefusedIsSetAside(mode: TestBackend) async throws {
        let backend = try backend(mode)
        let before = (1...9).map { example(["10.9.0.1", "10.9.0.2"], service: $0) }
        _ = try await backend.start(with: before)
        let program = try tools(mode).flavour.program(.ipv4)
        let blocked = ChainName.endpoint(before[4].route.backends[1], of: before[4].servicePort)
        try namespace.run(program, ["-w", "60", "-t", "nat", "-N", "CUSTOM"])
        try namespace.run(program, ["-w", "60", "-t", "nat", "-A", "CUSTOM", "-j", blocked])

        let after = (1...9).map { example(["10.9.0.1"], service: $0) }
        let changes = zip(before, after).map { FrontendChange.replace(old: $0, new: $1) }
        await #expect(throws: FamilyFailure.self) { try await backend.apply(changes) }
        let start = try await backend.start(with: after)
        #expect(start.refused.map(\.frontend.key) == [after[4].key])
        #expect(start.refused[0].reason.contains(mode == .iptablesNFT ? "CHAIN_DEL" : "line"))
        // It has what it had; the others have what they should.
        let left = try await saved(mode)
        for (index, frontend) in before.enumerated() {
            let chain = ChainName.endpoint(frontend.route.backends[1], of: frontend.servicePort)
            #expect(left.contains { $0.contains(" \(chain) -") } == (index == 4))
        }
        // Tried again, and in vain; the others go on.
        let refused = try await backend.apply([.add(after[4]), .replace(old: after[0], new: before[0])])
        #expect(refused.map(\.frontend.key) == [after[4].key])
        try namespace.run(program, ["-w", "60", "-t", "nat", "-F", "CUSTOM"])
        #expect(try await backend.apply([.add(after[4])]).isEmpty)
        let fresh = try NetworkNamespace.makeContainer()
        _ = try await self.backend(mode, in: fresh).start(with: [before[0]] + after.dropFirst())
        #expect(try await saved(mode) == saved(mode, in: fresh))
    }

    @Test(arguments: TestBackend.iptables)
    func portsOfHealthChecksAreAccepted(mode: TestBackend) async throws {
        let ports = HealthCheckNodePorts()
        let backend = try backend(mode, healthChecks: ports)
        var plan = ServicePlan(frontends: [], unreadableSourceRanges: [])
        plan.healthCheck = HealthCheck(port: 32001, localEndpoints: 1)
        let id = Catalog.ServiceID(.init(namespace: "default", name: "web"), .ipv4)
        ports.committing([id: plan])
        _ = try await backend.start(with: [])
        let rule =
            "IPv4 filter KUBE-NODEPORTS -p tcp -m comment --comment \"default/web health check node port\" "
            + "-m tcp --dport 32001 -j ACCEPT"
        #expect(try await saved(mode).filter { $0.contains("32001") } == [rule])
        #expect(await !backend.hasOwnChanges())
        ports.committing([id: .empty])
        #expect(await backend.hasOwnChanges())
        #expect(try await backend.apply([]).isEmpty)
        #expect(await !backend.hasOwnChanges())
        #expect(try await saved(mode).filter { $0.contains("32001") } == [])
    }

    /// The lock is waited for so long and no longer, and the error says what is the matter (and nobody's fault it is).
    @Test func aLockThatIsHeldIsReported() async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/lock"
        let lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        defer { close(lock) }
        try #require(flock(lock, LOCK_EX) == 0)
        let backend = IPTablesBackend(
            tools: IPTablesTools(
                .legacy,
                lockWait: 1,
                prefix: namespace.entering + ["/usr/bin/env", "XTABLES_LOCKFILE=\(path)"]
            ),
            options: IPTablesOptions(),
            logger: silent
        )
        let error = await #expect(throws: FamilyFailure.self) { try await backend.start(with: [example(["10.9.0.1"])]) }
        #expect(error?.reason as? IPTablesError == .locked("iptables-legacy-restore", seconds: 1))
        #expect("\(try #require(error))".contains("waited 1 s for the xtables lock"))
        #expect(flock(lock, LOCK_UN) == 0)
        #expect(try await backend.start(with: [example(["10.9.0.1"])]).refused.isEmpty)
    }

    @Test func flavours() async throws {
        #expect(FlavourChoice([:]) == nil)
        typealias Seen = FlavourChoice.Seen
        let cases: [(nft: Seen?, legacy: Seen?, IPTablesFlavour)] = [
            (Seen(), Seen(), .nft), (Seen(), nil, .nft), (nil, Seen(), .legacy),
            (Seen(ruleCount: 9), Seen(hasKubeletHint: true), .legacy),
            (Seen(hasKubeletHint: true), Seen(isOurs: true, ruleCount: 9), .nft),
            (Seen(), Seen(isOurs: true), .legacy), (Seen(ruleCount: 1), Seen(ruleCount: 2), .legacy),
        ]
        for (nft, legacy, flavour) in cases {
            var seen: [IPTablesFlavour: Seen] = [:]
            seen[.nft] = nft
            seen[.legacy] = legacy
            #expect(FlavourChoice(seen)?.flavour == flavour)
        }
        // The tools that are here.
        let found = try await IPTablesTools.find(families: [.ipv4, .ipv6], prefix: namespace.entering)
        #expect(found.tools.flavour == .nft)
        _ = try await backend(.iptablesLegacy).start(with: [])
        #expect(try await IPTablesTools.find(families: [.ipv4], prefix: namespace.entering).tools.flavour == .legacy)
        #expect(
            try await IPTablesTools.removeAll(prefix: namespace.entering)
                == ["iptables-legacy", "ip6tables-legacy"]
        )
        // That they can read does not say that they can write.
        let readers = ["/bin/sh", "-c", "case $0 in *-restore) echo no table; exit 3;; esac"]
        await #expect(throws: IPTablesError.failed("iptables-legacy-restore", reason: "no table")) {
            try await IPTablesTools.find(families: [.ipv4], prefix: readers)
        }
        for flavour in [IPTablesFlavour.nft, .legacy] {
            let tools = IPTablesTools(flavour, prefix: namespace.entering)
            #expect(try await tools.rules(of: ChainName.canary, in: .nat, .ipv4) == nil)
        }
        await #expect(throws: IPTablesError.self) {
            try await IPTablesTools(.nft, prefix: ["/bin/false"]).rules(of: ChainName.canary, in: .nat, .ipv4)
        }
        // Tools that cannot work here have nothing to remove (2.12).
        #expect(try await IPTablesTools.removeAll(prefix: ["/bin/false"]).isEmpty)
        let nowhere = IPTablesTools(.nft, prefix: ["/nonexistent/program"])
        await #expect(throws: IPTablesError.missing("iptables-nft-save")) { try await nowhere.save(.ipv4) }
    }

    // MARK: Samples

    private let samples = sampleFrontends.filter { $0.key.transport == $0.servicePort.transport }

    private func affine(_ timeout: UInt32?, port: UInt16 = 80) -> Frontend {
        Frontend(
            key: .address(address("172.30.1.1"), .udp, port),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "default", name: "dns", port: "p\(port)", transport: .udp),
            route: Route(
                backends: ["10.9.0.1", "10.9.0.2", "10.9.0.3"].map {
                    Backend(address: address($0), port: 53, isLocal: $0 == "10.9.0.1")
                },
                masquerade: .never,
                whenEmpty: .drop
            ),
            affinityTimeout: timeout
        )
    }

    private func example(_ addresses: [String], service: Int = 1) -> Frontend {
        Frontend(
            key: .address(address("172.30.0.\(service)"), .tcp, 80),
            kind: .clusterIP,
            servicePort: ServicePortName(namespace: "default", name: "web-\(service)", port: "http", transport: .tcp),
            route: Route(
                backends: addresses.map { Backend(address: address($0), port: 8080, isLocal: false) },
                masquerade: .unlessLocal,
                whenEmpty: .reject
            )
        )
    }

    private func randomFrontend(_ random: inout SeededGenerator) -> Frontend {
        let family = IPFamily.allCases.randomElement(using: &random)!
        func ip(_ number: Int) -> IPAddress { address((family == .ipv4 ? "10.9.0." : "fd09::") + "\(number)") }
        func route(_ refusal: Route.Refusal, isLocalOnly: Bool) -> Route {
            let numbers = (1...6).filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            return Route(
                backends: numbers.map { Backend(address: ip($0), port: 80, isLocal: $0 < 4) },
                masquerade: [.never, .always, .unlessLocal].randomElement(using: &random)!,
                whenEmpty: refusal,
                isLocalOnly: isLocalOnly
            )
        }
        let number = Int.random(in: 1...12, using: &random)
        let transport = TransportProtocol.allCases.randomElement(using: &random)!
        let kind: Frontend.Kind = number > 9 ? .nodePort : number < 6 ? .clusterIP : .loadBalancerIP
        let serviceIP = address(family == .ipv4 ? "172.30.0.\(number / 2)" : "fd30::\(number / 2)")
        let ranges = family == .ipv4 ? ["10.0.0.0/8", "192.0.2.0/25"] : ["fd00::/8", "fd03::1/128"]
        return Frontend(
            key: kind == .nodePort
                ? .nodePort(family, transport, UInt16(30000 + number))
                : .address(serviceIP, transport, UInt16(80 + number % 2)),
            kind: kind,
            servicePort: ServicePortName(
                namespace: "default",
                name: "s\(Int.random(in: 1...3, using: &random))",
                port: "",
                transport: transport
            ),
            route: route(
                [.reject, .drop].randomElement(using: &random)!,
                isLocalOnly: Bool.random(using: &random)
            ),
            nearRoute: Int.random(in: 0..<3, using: &random) == 0 ? route(.reject, isLocalOnly: false) : nil,
            allowedSources: Int.random(in: 0..<4, using: &random) > 0
                ? nil : ranges.filter { _ in Bool.random(using: &random) }.compactMap { CIDR($0) },
            affinityTimeout: [nil, nil, 60, 10_800].randomElement(using: &random)!
        )
    }
}

/// What the backend says that it did.
private final class Restores: Sendable {
    private let restores = Mutex<[IPTablesRestore]>([])

    var all: [IPTablesRestore] { restores.withLock { $0 } }
    func add(_ restore: IPTablesRestore) { restores.withLock { $0.append(restore) } }
    func clear() { restores.withLock { $0 = [] } }
}
