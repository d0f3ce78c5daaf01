import Foundation
import Logging
import NFTables
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// The table as a person sees it with `nft list table`.
@Suite(.enabled(if: isRoot), .serialized)
struct NFTablesListingTests {
    let node: TestNode
    let socket: NetfilterSocket
    let options = NFTablesOptions(localSources: [CIDR("10.9.0.0/16")!, CIDR("fd09::/16")!])

    init() throws {
        node = try TestNode()
        socket = try NetfilterSocket(in: node.node)
    }

    func makeBackend(_ options: NFTablesOptions? = nil) -> NFTablesBackend {
        NFTablesBackend(
            kernel: socket,
            options: options ?? self.options,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test func nftPrintsATableThatAPersonCanRead() async throws {
        _ = try await makeBackend().start(with: sampleFrontends)
        let text = sortingElements(try node.node.nft("list", "table", "ip", "swiftlet"))
        #expect(text == Self.expected)
    }

    /// What `nft list` prints can be loaded again, and is then taken over. `nft` writes one rule and one set with more
    /// in them than is needed; that is all that is written anew.
    @Test(arguments: Family.allCases.filter { $0 != .inet })
    func whatNftPrintsCanBeLoadedAgain(family: Family) async throws {
        _ = try await makeBackend().start(with: sampleFrontends)
        let text = try node.node.nft("list", "table", "\(family)", "swiftlet")
        try node.node.nft("delete", "table", "\(family)", "swiftlet")
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        try node.node.nft("-f", file.path)
        let start = try await makeBackend().start(with: sampleFrontends)
        #expect(start.findings == [.ipv4: .adopted, .ipv6: .adopted])
        #expect(start.changes <= 4)
        #expect(try await makeBackend().start(with: sampleFrontends).changes == 0)
    }

    static let detectors: [(LocalSources, local: String, foreign: String)] = [
        (.within(TestNode.podNetworks), "FAMILY saddr @local-sources", "FAMILY saddr != @local-sources"),
        (.interface("cni0"), "iifname \"cni0\"", "iifname != \"cni0\""),
        (.interfaces(prefix: "pod"), "iifname \"pod*\"", "iifname != \"pod*\""),
        (.interfaces(prefix: "fifteen-letters"), "iifname \"fifteen-letters\"", "iifname != \"fifteen-letters\""),
    ]

    /// Each way to tell pods replaces the one before, is readable, and survives a reload and a restart.
    @Test func waysToTellPodsReplaceEachOther() async throws {
        for (sources, local, foreign) in Self.detectors + Self.detectors.prefix(2) {
            let options = NFTablesOptions(Surroundings(localSources: sources))
            let start = try await makeBackend(options).start(with: sampleFrontends)
            #expect(!start.findings.values.contains(.replaced))
            for family in ["ip", "ip6"] {
                let text = try node.node.nft("list", "table", family, "swiftlet")
                let lines = text.split(separator: "\n").map { $0.drop(while: \.isWhitespace) }
                let key =
                    "meta priority set \(family) daddr . meta l4proto . th dport map @near-frontends "
                    + "meta priority vmap @by-source-chains"
                let mark = "meta mark set meta mark | 0x00004000"
                #expect(lines.contains("\(local.replacing("FAMILY", with: family)) \(key)"), "\(text)")
                #expect(
                    family == "ip6"
                        || lines.contains("meta priority set none \(foreign.replacing("FAMILY", with: family)) \(mark)"),
                    "\(text)"
                )
                try node.node.nft("delete", "table", family, "swiftlet")
                let directory = try TemporaryDirectory()
                try text.write(toFile: "\(directory.path)/table", atomically: true, encoding: .utf8)
                try node.node.nft("-f", "\(directory.path)/table")
            }
            #expect(try await makeBackend(options).start(with: sampleFrontends).changes <= 8)
            #expect(try await makeBackend(options).start(with: sampleFrontends).changes == 0)
        }
    }

    @Test func aRestartChangesNothing() async throws {
        _ = try await makeBackend().start(with: sampleFrontends)
        let generation = try socket.generation()
        #expect(try await makeBackend().start(with: sampleFrontends.shuffled()).changes == 0)
        #expect(try socket.generation() == generation)
    }

    @Test func aChainWaitsUntilManyAreIdle() async throws {
        let backend = makeBackend()
        func frontend(_ count: Int) -> Frontend {
            Frontend(
                key: .address(address("10.96.0.1"), .tcp, 80),
                kind: .clusterIP,
                servicePort: ServicePortName(namespace: "default", name: "web", port: "", transport: .tcp),
                route: Route(
                    backends: (0..<count).map {
                        Backend(address: .v4(IPv4Address(10, 9, 1, UInt8($0))), port: 80, isLocal: false)
                    },
                    masquerade: .never,
                    whenEmpty: .reject
                )
            )
        }
        _ = try await backend.start(with: [frontend(1)])
        for count in 1..<60 {
            #expect(try await backend.apply([.replace(old: frontend(count), new: frontend(count + 1))]).isEmpty)
            let table = ServiceTable(family: .ipv4, options: options).table
            let picks = try socket.chains(of: table).filter { $0.name.contains("pick-") }
            #expect(picks.count <= ProgrammedTable.retainedChains + 2)
        }
    }

    private static let expected = """
        table ip swiftlet {
        	comment "swiftlet-proxy IPv4, layout 2"
        	map frontends {
        		typeof ip daddr . meta l4proto . th dport : meta priority
        		elements = {
        			10.96.0.10 . tcp . 80 comment "default/web:http" : 0:5
        			203.0.113.5 . tcp . 443 comment "default/shop:http" : 0:1
        		}
        	}

        	map far-frontends {
        		typeof ip daddr . meta l4proto . th dport : meta priority
        		elements = {
        			203.0.113.5 . tcp . 443 comment "default/shop:http" : 0:6
        		}
        	}

        	map near-frontends {
        		typeof ip daddr . meta l4proto . th dport : meta priority
        		elements = {
        			203.0.113.5 . tcp . 443 comment "default/shop:http" : 0:4
        		}
        	}

        	map no-endpoints {
        		typeof ip daddr . meta l4proto . th dport : verdict
        		elements = {
        			10.96.0.11 . udp . 53 comment "default/dns:http" : goto refuse
        		}
        	}

        	map backends {
        		typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport
        		elements = {
        			10.96.0.10 . tcp . 80 . 0 : 10.9.0.1 . 8080
        			10.96.0.10 . tcp . 80 . 1 : 10.9.0.2 . 8080
        			203.0.113.5 . tcp . 443 . 0 : 10.9.0.1 . 8080
        		}
        	}

        	map near-backends {
        		typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport
        		elements = {
        			203.0.113.5 . tcp . 443 . 0 : 10.9.0.1 . 8080
        			203.0.113.5 . tcp . 443 . 1 : 10.9.0.2 . 8080
        			203.0.113.5 . tcp . 443 . 2 : 10.9.0.3 . 8080
        		}
        	}

        	map affinity {
        		typeof ip daddr . meta l4proto . th dport : ip saddr . meta mark
        	}

        	map near-affinity {
        		typeof ip daddr . meta l4proto . th dport : ip saddr . meta mark
        	}

        	map affinity-backends {
        		typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip saddr . meta mark . ip daddr . th dport
        	}

        	map near-affinity-backends {
        		typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip saddr . meta mark . ip daddr . th dport
        	}

        	map nodeport-frontends {
        		typeof meta l4proto . th dport : meta priority
        		elements = {
        			tcp . 30080 comment "default/web:http" : 0:3
        		}
        	}

        	map nodeport-far-frontends {
        		typeof meta l4proto . th dport : meta priority
        	}

        	map nodeport-near-frontends {
        		typeof meta l4proto . th dport : meta priority
        	}

        	map nodeport-no-endpoints {
        		typeof meta l4proto . th dport : verdict
        	}

        	map nodeport-backends {
        		typeof meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport
        		elements = {
        			tcp . 30080 . 0 : 10.9.0.1 . 8080
        			tcp . 30080 . 1 : 10.9.0.2 . 8080
        		}
        	}

        	map nodeport-near-backends {
        		typeof meta l4proto . th dport . numgen random mod 2 : ip daddr . th dport
        	}

        	map nodeport-affinity {
        		typeof meta l4proto . th dport : ip saddr . meta mark
        	}

        	map nodeport-near-affinity {
        		typeof meta l4proto . th dport : ip saddr . meta mark
        	}

        	map nodeport-affinity-backends {
        		typeof meta l4proto . th dport . numgen random mod 2 : ip saddr . meta mark . ip daddr . th dport
        	}

        	map nodeport-near-affinity-backends {
        		typeof meta l4proto . th dport . numgen random mod 2 : ip saddr . meta mark . ip daddr . th dport
        	}

        	map frontend-chains {
        		typeof meta priority : verdict
        		elements = {
        			0:1 : goto by-source
        			0:2 : goto nodeport-by-source
        			0:3 : goto masquerade-nodeport-pick-2
        			0:4 : goto masquerade-unless-local-near-pick-3
        			0:5 : goto masquerade-unless-local-pick-2
        			0:6 : goto pick-1
        		}
        	}

        	map by-source-chains {
        		typeof meta priority : verdict
        		elements = {
        			0:3 : goto masquerade-nodeport-pick-2
        			0:4 : goto masquerade-unless-local-near-pick-3
        			0:5 : goto masquerade-unless-local-pick-2
        			0:6 : goto pick-1
        		}
        	}

        	set hairpin {
        		typeof ip saddr . ip daddr . meta l4proto . th dport
        		elements = {
        			10.9.0.1 . 10.9.0.1 . tcp . 8080
        		}
        	}

        	set cluster-ips {
        		typeof ip daddr
        		elements = {
        			10.96.0.10
        			10.96.0.11
        		}
        	}

        	set service-cidrs {
        		typeof ip daddr
        		flags interval
        	}

        	set nodeport-addresses {
        		typeof ip daddr
        	}

        	set local-sources {
        		typeof ip saddr
        		flags interval
        		elements = {
        			10.9.0.0/16
        		}
        	}

        	set restricted {
        		typeof ip daddr . meta l4proto . th dport
        		elements = {
        			203.0.113.5 . tcp . 443
        		}
        	}

        	set allowed-sources {
        		typeof ip saddr . ip daddr . meta l4proto . th dport
        		flags interval
        		elements = {
        			192.0.2.0/24 . 203.0.113.5 . tcp . 443
        		}
        	}

        	map affinity-memory {
        		typeof ip saddr . meta mark : ip saddr . meta mark . ip daddr . th dport
        		size 131072
        		flags dynamic,timeout
        		timeout 3h
        	}

        	set affinity-endpoints {
        		typeof meta mark . ip daddr . th dport
        	}

        	chain services {
        		meta priority set ip daddr . meta l4proto . th dport map @frontends meta priority vmap @frontend-chains
        		fib daddr type local ip daddr != 127.0.0.0/8 meta priority set meta l4proto . th dport map @nodeport-frontends meta priority vmap @frontend-chains
        	}

        	chain by-source {
        		ip saddr @local-sources meta priority set ip daddr . meta l4proto . th dport map @near-frontends meta priority vmap @by-source-chains
        		fib saddr type local meta priority set ip daddr . meta l4proto . th dport map @near-frontends meta priority vmap @by-source-chains
        		meta priority set ip daddr . meta l4proto . th dport map @far-frontends meta priority vmap @by-source-chains
        	}

        	chain nodeport-by-source {
        		ip saddr @local-sources meta priority set meta l4proto . th dport map @nodeport-near-frontends meta priority vmap @by-source-chains
        		fib saddr type local meta priority set meta l4proto . th dport map @nodeport-near-frontends meta priority vmap @by-source-chains
        		meta priority set meta l4proto . th dport map @nodeport-far-frontends meta priority vmap @by-source-chains
        	}

        	chain refuse {
        		reject with tcp reset
        		reject
        	}

        	chain check-sources {
        		ip daddr . meta l4proto . th dport @restricted ip saddr . ip daddr . meta l4proto . th dport != @allowed-sources drop
        	}

        	chain check-endpoints {
        		ip daddr . meta l4proto . th dport vmap @no-endpoints
        	}

        	chain check-cluster-ips {
        		ip daddr @cluster-ips goto refuse
        		ip daddr @service-cidrs drop
        	}

        	chain filter-prerouting {
        		type filter hook prerouting priority dstnat - 10; policy accept;
        		ct state new jump check-sources
        	}

        	chain filter-output-first {
        		type filter hook output priority -110; policy accept;
        		ct state new jump check-sources
        	}

        	chain nat-prerouting {
        		type nat hook prerouting priority dstnat; policy accept;
        		jump services
        	}

        	chain nat-output {
        		type nat hook output priority -100; policy accept;
        		jump services
        	}

        	chain nat-postrouting {
        		type nat hook postrouting priority srcnat; policy accept;
        		meta mark & 0x00004000 == 0x00004000 meta mark set meta mark & 0xffffbfff masquerade fully-random
        		ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin masquerade fully-random
        	}

        	chain filter-input {
        		type filter hook input priority filter; policy accept;
        		ct state new fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @nodeport-no-endpoints
        		ct state new jump check-endpoints
        	}

        	chain filter-forward {
        		type filter hook forward priority filter; policy accept;
        		ct state new jump check-endpoints
        		ct state new jump check-cluster-ips
        	}

        	chain filter-output {
        		type filter hook output priority filter; policy accept;
        		ct state new jump check-endpoints
        		ct state new jump check-cluster-ips
        	}

        	chain masquerade-nodeport-pick-2 {
        		meta priority set none meta mark set meta mark | 0x00004000
        		dnat ip to meta l4proto . th dport . numgen random mod 2 map @nodeport-backends
        	}

        	chain masquerade-unless-local-near-pick-3 {
        		meta priority set none ip saddr != @local-sources meta mark set meta mark | 0x00004000
        		dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @near-backends
        	}

        	chain masquerade-unless-local-pick-2 {
        		meta priority set none ip saddr != @local-sources meta mark set meta mark | 0x00004000
        		dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @backends
        	}

        	chain pick-1 {
        		meta priority set none dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @backends
        	}
        }

        """
}
