import Foundation
import Glibc
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import NFTables

@Suite(.enabled(if: isRoot))
struct NetfilterSocketTests {
    let namespace: NetworkNamespace
    let socket: NetfilterSocket

    init() throws {
        namespace = try NetworkNamespace.makeContainer()
        socket = try NetfilterSocket(in: namespace)
    }

    @Test func nftPrintsATableAsAPersonWouldWriteIt() throws {
        try socket.commit(ExampleTable.creation)
        let text = try namespace.nft("list", "ruleset")
        #expect(
            sortingElements(text)
                == sortingElements(
                    """
                    table ip example {
                    	comment "an example"
                    	map frontends {
                    		typeof ip daddr . meta l4proto . th dport : verdict
                    		comment "what can be dialled"
                    		elements = { 10.96.0.10 . tcp . 80 comment "default/web:http" : goto pick-2 }
                    	}

                    	map backends {
                    		typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport
                    		elements = { 10.96.0.10 . tcp . 80 . 0 : 10.9.0.2 . 8080,
                    			     10.96.0.10 . tcp . 80 . 1 : 10.9.0.3 . 8080 }
                    	}

                    	set hairpin {
                    		typeof ip saddr . ip daddr . meta l4proto . th dport
                    	}

                    	set addresses {
                    		typeof ip daddr
                    		elements = { 10.96.0.10 }
                    	}

                    	set sources {
                    		typeof ip saddr
                    		flags interval
                    		elements = { 10.9.0.0/16, 240.0.0.0/4 }
                    	}

                    	set allowed {
                    		typeof ip saddr . ip daddr . meta l4proto . th dport
                    		flags interval
                    		elements = { 10.9.0.0/16 . 10.96.0.10 . tcp . 80 }
                    	}

                    	map affinity {
                    		typeof ip saddr . meta mark : ip daddr . th dport
                    		size 100000
                    		flags dynamic,timeout
                    		timeout 3h
                    	}

                    	chain pick-2 {
                    		comment "two backends"
                    		dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @backends comment "choose"
                    	}

                    	chain services {
                    		ip daddr . meta l4proto . th dport vmap @frontends
                    		ip saddr != @sources meta mark set meta mark | 0x00004000
                    		fib daddr type local counter packets 0 bytes 0 goto refuse
                    		update @affinity { ip saddr . meta mark timeout 1m : 10.0.0.1 . 80 }
                    	}

                    	chain refuse {
                    		reject with tcp reset
                    		reject
                    	}

                    	chain prerouting {
                    		type nat hook prerouting priority dstnat; policy accept;
                    		jump services
                    	}

                    	chain postrouting {
                    		type nat hook postrouting priority srcnat; policy accept;
                    		meta mark & 0x00004000 == 0x00004000 meta mark set meta mark & 0xffffbfff masquerade fully-random
                    		ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin masquerade fully-random
                    	}

                    	chain input {
                    		type filter hook input priority filter; policy accept;
                    		ct state new ip daddr @addresses drop
                    	}
                    }

                    """
                )
        )
    }

    @Test func whatIsReadBackEqualsWhatWasWritten() throws {
        try socket.commit(ExampleTable.creation)
        #expect(try socket.table(Table(family: .ip, name: "example")) == ExampleTable.table)
        #expect(try socket.tables(.ip6).isEmpty)
        #expect(try socket.chains(of: ExampleTable.table) == ExampleTable.chains)
        #expect(try socket.rules(of: ExampleTable.table).map(\.rule) == ExampleTable.rules)
        #expect(try socket.sets(of: ExampleTable.table) == ExampleTable.sets.map(\.layout))
        #expect(
            try socket.elements(of: "frontends", in: ExampleTable.table) == [
                Element(
                    ExampleTable.key("10.96.0.10", 80),
                    .verdict(.goto("pick-2")),
                    comment: "default/web:http"
                )
            ]
        )
        #expect(try socket.elements(of: "allowed", in: ExampleTable.table).first?.end != nil)
        #expect(try socket.elements(of: "sources", in: ExampleTable.table).count == 3)
        #expect(try socket.elements(of: "missing", in: ExampleTable.table).isEmpty)
    }

    @Test func aRefusalNamesTheElement() throws {
        try socket.commit(ExampleTable.creation)
        var change = Transaction(table: ExampleTable.table)
        for port in 1...200 as ClosedRange<UInt16> {
            change.add(
                Element(ExampleTable.key("10.96.0.10", port), .verdict(.drop)),
                to: ExampleTable.frontends,
                exclusively: true
            )
        }
        let error = #expect(throws: NFTablesError.self) { try socket.commit(change) }
        guard case .refused(let refusals)? = error else { throw try #require(error) }
        #expect(
            refusals.first?.description
                == "add element 10.96.0.10 . tcp . 80 of map frontends in table ip example: File exists"
        )
        #expect(
            refusals.first?.object
                == .element(of: ExampleTable.frontends, key: ExampleTable.key("10.96.0.10", 80))
        )
        // Nothing of it took effect.
        #expect(try socket.elements(of: "frontends", in: ExampleTable.table).count == 1)
    }

    @Test func everyRefusedObjectIsReported() throws {
        var change = Transaction(table: ExampleTable.table)
        change.addTable()
        change.deleteChain("missing")
        change.add(Rule(chain: "services", [.verdict(.accept)]))
        change.add(
            Element(ExampleTable.key("10.0.0.1", 1), .verdict(.goto("nowhere"))),
            to: ExampleTable.frontends
        )
        let error = #expect(throws: NFTablesError.self) { try socket.commit(change) }
        guard case .refused(let refusals)? = error else { throw try #require(error) }
        #expect(refusals.map(\.object).prefix(2) == [.chain("missing"), .rule(chain: "services", comment: nil)])
        #expect(refusals.map(\.code) == [ENOENT, ENOENT, ENOENT])
        #expect(try socket.tables(.ip).isEmpty)
    }

    @Test func replacingAnElementIsOneCommit() throws {
        try socket.commit(ExampleTable.creation)
        let generation = try socket.generation()
        var change = Transaction(table: ExampleTable.table)
        let key = ExampleTable.key("10.96.0.10", 80, slot: 0)
        let new = Element(key, .data(ExampleTable.endpoint("10.9.0.9", 9090)))
        change.replace(
            Element(key, .data(ExampleTable.endpoint("10.9.0.2", 8080))),
            with: new,
            in: ExampleTable.backends
        )
        try socket.commit(change)
        #expect(try socket.generation() == generation + 1)
        #expect(try socket.elements(of: "backends", in: ExampleTable.table).contains(new))
    }

    @Test func aCommitCanAskForAGeneration() throws {
        let generation = try socket.generation()
        try socket.commit(ExampleTable.creation, ifGeneration: generation)
        var change = Transaction(table: ExampleTable.table)
        change.add(Chain("late"))
        #expect(throws: NFTablesError.generationChanged) { try socket.commit(change, ifGeneration: generation) }
        try socket.commit(change, ifGeneration: generation + 1)
    }

    @Test func manyElementsAreOneAtomicCommit() throws {
        var change = ExampleTable.creation
        for port in 1...20_000 as ClosedRange<UInt16> {
            change.add(
                Element(
                    ExampleTable.key("10.97.0.1", port, slot: 1),
                    .data(ExampleTable.endpoint("10.9.1.1", port))
                ),
                to: ExampleTable.backends
            )
        }
        let generation = try socket.generation()
        try socket.commit(change)
        #expect(try socket.generation() == generation + 1)
        let elements = try socket.consistently { try socket.elements(of: "backends", in: ExampleTable.table) }
        #expect(elements.count == 20_002)
    }

    @Test func rulesAreDeletedByHandleAndChainsFlushed() throws {
        try socket.commit(ExampleTable.creation)
        let rules = try socket.rules(of: ExampleTable.table)
        let reject = try #require(rules.first { $0.rule == Rule(chain: "refuse", [.reject(.portUnreachable(.ip))]) })
        var change = Transaction(table: ExampleTable.table)
        change.delete(reject)
        change.flushChain("services")
        change.flushSet("backends")
        try socket.commit(change)
        let left = try socket.rules(of: ExampleTable.table).map(\.rule)
        #expect(left.count(where: { $0.chain == "refuse" }) == 1)
        #expect(left.count(where: { $0.chain == "services" }) == 0)
        #expect(try socket.elements(of: "backends", in: ExampleTable.table).isEmpty)
    }

    @Test func aLongCommentIsCutNotRefused() throws {
        var change = ExampleTable.creation
        let comment = String(repeating: "é", count: 120)
        change.add(
            Element(ExampleTable.key("10.1.1.1", 1), .verdict(.drop), comment: comment),
            to: ExampleTable.frontends
        )
        try socket.commit(change)
        let found = try socket.elements(of: "frontends", in: ExampleTable.table).compactMap(\.comment)
        #expect(found.contains(String(repeating: "é", count: 62) + "…"))
        _ = try namespace.nft("list", "ruleset")
    }

    @Test func changesAreAnnouncedWithTheirAuthor() throws {
        var monitor = try RulesetMonitor(in: namespace)
        try monitor.listen()
        try socket.commit(ExampleTable.creation)
        let own = try #require(try monitor.next())
        #expect(own.portID == socket.portID)
        #expect(own.generation == (try socket.generation()))
        #expect(own.items.contains { $0.object == .chain("pick-2") && !$0.isRemoval && $0.table == "example" })
        #expect(own.items.contains { $0.object == .elements(set: "backends") })
        #expect(try monitor.next() == nil)

        try namespace.nft("flush", "chain", "ip", "example", "refuse")
        let foreign = try #require(try monitor.next())
        #expect(foreign.processName == "nft")
        #expect(foreign.portID != socket.portID)
        #expect(
            foreign.items == [.init(family: .ip, table: "example", object: .rule(chain: "refuse"), isRemoval: true)]
        )
    }

    @Test func namespacesAreApart() throws {
        let elsewhere = try NetworkNamespace.makeContainer()
        let other = try NetfilterSocket(in: elsewhere)
        try socket.commit(ExampleTable.creation)
        #expect(try other.tables(.ip).isEmpty)
    }
}
