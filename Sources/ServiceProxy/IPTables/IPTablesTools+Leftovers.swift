import NetworkTypes

extension IPTablesTools {
    /// Removes all chains and rules of swiftlet-proxy, where there are any.
    ///
    /// - Returns: how many chains there were; those of another proxy are not touched.
    /// - Throws: `missing` also for tools that cannot read here, as without kernel modules or rights: these have not
    ///   written either.
    public func removeAll(_ family: IPFamily) async throws(IPTablesError) -> Int {
        let saved: [String: SavedTable]
        do throws(IPTablesError) {
            saved = SavedTable.all(in: try await save(family))
        } catch {
            if case .failed(let program, _) = error { throw .missing(program) }
            throw error
        }
        guard saved.values.contains(where: \.hasCanary) else { return 0 }
        var count = 0
        for table in RuleTable.allCases {
            guard let found = saved[table.rawValue] else { continue }
            try await restore(TableRemoval(table, of: found).script, family)
            count += found.chains.count
        }
        return count
    }

    /// Removes all chains and rules of kube-proxy, in every table.
    ///
    /// - Returns: how many chains there were.
    public func removeKubeProxy(_ family: IPFamily) async throws(IPTablesError) -> Int {
        let leftovers = IPTablesLeftovers(in: try await save(family))
        if leftovers.chainCount > 0 { try await restore(leftovers.removal, family) }
        return leftovers.chainCount
    }

    /// Removes all chains and rules of swiftlet-proxy in both families and with every flavour of the tools there is.
    ///
    /// - Parameters:
    ///   - kept: a flavour whose rules stay.
    ///   - prefix: what is put before each command.
    /// - Returns: the tools by which something was found.
    /// - Throws: the first error, when all has been tried.
    public static func removeAll(
        except kept: IPTablesFlavour? = nil,
        prefix: [String] = []
    ) async throws(IPTablesError) -> [String] {
        var removed: [String] = []
        var failure: IPTablesError?
        for family in IPFamily.allCases {
            var isFound = false
            for flavour in [IPTablesFlavour.nft, .legacy, .unnamed] where flavour != .unnamed || !isFound {
                if flavour == kept {
                    isFound = true
                    continue
                }
                do throws(IPTablesError) {
                    let count = try await IPTablesTools(flavour, prefix: prefix).removeAll(family)
                    isFound = true
                    if count > 0 { removed.append(flavour.program(family)) }
                } catch {
                    if case .missing = error { continue }
                    isFound = true
                    failure = failure ?? error
                }
            }
        }
        if let failure { throw failure }
        return removed
    }

    /// The tools of the flavour that this node uses.
    ///
    /// - Returns: also why.
    /// - Throws: when there is none that works.
    public static func find(
        families: Set<IPFamily>,
        prefix: [String] = []
    ) async throws(IPTablesError) -> (tools: IPTablesTools, reason: String) {
        var seen: [IPTablesFlavour: FlavourChoice.Seen] = [:]
        var failure = IPTablesError.missing("iptables")
        for flavour in [IPTablesFlavour.nft, .legacy, .unnamed] where flavour != .unnamed || seen.isEmpty {
            let tools = IPTablesTools(flavour, prefix: prefix)
            do throws(IPTablesError) {
                var found = FlavourChoice.Seen()
                for family in families.sorted(by: { $0.rawValue < $1.rawValue }) {
                    found.add(SavedTable.all(in: try await tools.save(family)))
                }
                seen[flavour] = found
            } catch {
                if case .missing = error { continue }
                failure = error
            }
        }
        while let choice = FlavourChoice(seen) {
            let tools = IPTablesTools(choice.flavour, prefix: prefix)
            do throws(IPTablesError) {
                try await tools.probe(families)
                return (tools, choice.reason)
            } catch {
                // Who waits for a lock has tools that work.
                if case .locked = error { return (tools, choice.reason) }
                failure = error
                seen[choice.flavour] = nil
            }
        }
        throw failure
    }

    /// Has the tools read rules like ours, up to the point where they would be written: reading what is there succeeds
    /// also where the kernel has no tables or does not know the matches. At most empty tables come into being.
    private func probe(_ families: Set<IPFamily>) async throws(IPTablesError) {
        for family in families.sorted(by: { $0.rawValue < $1.rawValue }) {
            for table in RuleTable.allCases {
                let fixed = FixedRules(table, family, IPTablesOptions())
                let plan = StartPlan(table, family, from: SavedTable(), to: [:], fixed: fixed)
                try await restore(plan.whole, family, isTest: true)
            }
        }
    }
}

/// Which flavour of iptables a node uses. Pure.
struct FlavourChoice: Hashable {
    let flavour: IPTablesFlavour
    let reason: String

    /// What the tools of one flavour say is there.
    struct Seen: Hashable {
        var hasKubeletHint = false
        var isOurs = false
        var ruleCount = 0

        mutating func add(_ saved: [String: SavedTable]) {
            for table in saved.values {
                if table.hasKubeletHint { hasKubeletHint = true }
                if table.hasCanary { isOurs = true }
                ruleCount += table.ruleCount
            }
        }
    }

    /// - Parameter seen: by what tools there are; `nil` comes of none.
    init?(_ seen: [IPTablesFlavour: Seen]) {
        guard let nft = seen[.nft], let legacy = seen[.legacy] else {
            guard let only = seen.keys.first else { return nil }
            (flavour, reason) = (only, "it is the only one that works here")
            return
        }
        func choose(_ isSo: (Seen) -> Bool) -> IPTablesFlavour? {
            isSo(nft) == isSo(legacy) ? nil : isSo(nft) ? .nft : .legacy
        }
        if let flavour = choose(\.hasKubeletHint) {
            (self.flavour, reason) = (flavour, "the kubelet uses it")
        } else if let flavour = choose(\.isOurs) {
            (self.flavour, reason) = (flavour, "this proxy used it before")
        } else if legacy.ruleCount > nft.ruleCount {
            (flavour, reason) = (.legacy, "other programs on this node use it")
        } else {
            (flavour, reason) = (.nft, "no other is in use")
        }
    }
}
