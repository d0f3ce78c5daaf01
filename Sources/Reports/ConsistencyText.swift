import IPAM
import NetworkTypes

// `ipam check`: what was looked at and what is wrong, in calicoctl's words (7.3).

extension ConsistencyCheck {
    /// - Parameters:
    ///   - showsAll: every assigned address with what it is for.
    ///   - showsProblems: what is wrong one by one, not only how many.
    public func text(showsAll: Bool, showsProblems: Bool) -> String {
        var lines = ["Checking IPAM for inconsistencies...", ""]
        lines += blockLines(showsAll) + [""]
        lines += ["Loading all IPAM pools..."] + pools.map { "  \($0)" }
        lines += ["Found \(pools.count) active IP pools.", ""]
        lines += [
            "Loading all nodes.", "Found \(count { if case .tunnel = $0 { true } else { false } }) node tunnel IPs.",
            "",
            "Loading all service load balancer IPs.",
            "Found \(count { $0 == .loadBalancer }) service load balancer(s).", "",
            "Loading all workload endpoints.", "Found \(endpointAddressCount) workload IPs.",
            "Workloads and nodes are using \(usedCount) IPs.", "",
        ]
        lines += nodeLines() + [""]
        lines += leakLines(showsAll, showsProblems) + [""]
        lines += handleLines(showsProblems)
        lines.append("Check complete; found \(problemCount) problems.")
        return lines.map { $0 + "\n" }.joined()
    }

    private func count(_ isCounted: (Use) -> Bool) -> Int { allocations.count { isCounted($0.use) } }

    private func blockLines(_ showsAll: Bool) -> [String] {
        var lines = ["Loading all IPAM blocks...", "Found \(blocks.count) IPAM blocks."]
        let ofBlock = showsAll ? Dictionary(grouping: allocations, by: \.block) : [:]
        for block in blocks {
            lines.append(" IPAM block \(block.cidr) affinity=\(block.affinity?.description ?? "<none>"):")
            lines += ofBlock[block.cidr, default: []].map { "  \($0.address) allocated; attrs \($0.attributeText)" }
        }
        return lines + ["IPAM blocks record \(allocations.count) allocations."]
    }

    private func nodeLines() -> [String] {
        var lines = ["Loading all handles", "Looking for top (up to 20) nodes by allocations..."]
        lines += allocationsPerNode.prefix(20).map { "  \($0.node) has \($0.count) allocations" }
        if let most = allocationsPerNode.first {
            let median = allocationsPerNode[allocationsPerNode.count / 2].count
            lines.append("Node with most allocations has \(most.count); median is \(median)")
        }
        return lines
    }

    private func leakLines(_ showsAll: Bool, _ showsProblems: Bool) -> [String] {
        var lines = ["Scanning for IPs that are allocated but not actually in use..."]
        for allocation in allocations {
            if showsAll, let use = allocation.use.text { lines.append("  \(allocation.address) \(use)") }
            if showsProblems, allocation.isLeaked {
                let remark = allocation.isReleasable ? "" : " (assigned just now; its pod may be starting)"
                lines.append("  \(allocation.address) leaked; attrs \(allocation.attributeText)\(remark)")
            }
        }
        lines.append("Found \(leaks.count) IPs that are allocated in IPAM but not actually in use.")
        lines.append("Scanning for IPs that are in use by a workload or node but not allocated in IPAM...")
        if showsProblems {
            lines += sharedAddresses.map { "  \($0.address) has multiple owners: \($0.owners.joined(separator: ", "))" }
            lines += usedOutsidePools.map {
                "  \($0.address) in use by \($0.owner) is not in any active IP pool: \($0.cause.text)"
            }
            lines += usedWithoutAllocation.map {
                "  \($0.address) in use by \($0.owner) and in active IPAM pool but has no IPAM allocation: \($0.cause.text)"
            }
        }
        lines += [
            "Found \(usedOutsidePools.count) in-use IPs that are not in active IP pools.",
            "Found \(usedWithoutAllocation.count) in-use IPs that are in active IP pools but have no corresponding IPAM "
                + "allocation.",
        ]
        // calicoctl does not count these.
        if !sharedAddresses.isEmpty { lines.append("Found \(sharedAddresses.count) in-use IPs with multiple owners.") }
        return lines
    }

    private func handleLines(_ showsProblems: Bool) -> [String] {
        var lines = ["Scanning for IPAM handles with no matching IPs..."]
        if showsProblems { lines += leakedHandles.map { "  \($0.id) doesn't have any active IPs." } }
        lines.append(
            "Found \(leakedHandles.count) handles with no matching IPs (and \(matchedHandleCount) handles with matches)."
        )
        lines.append("Scanning for IPs with missing handle...")
        if showsProblems { lines += missingHandles.map { "  \($0) is in use in a block but doesn't exist." } }
        lines.append("Found \(missingHandles.count) handles mentioned in blocks with no matching handle resource.")
        lines.append("Validating IPAMBlock structures...")
        if showsProblems {
            for block in invalidBlocks { lines += block.violations.map { "  \(block.cidr): \($0)" } }
        }
        lines.append("Found \(invalidBlocks.count) invalid IPAMBlocks.")
        // calicoctl does not see these, which are no problems.
        let strays = strayAffinities.filter { !$0.mayBeClaim }
        if !strays.isEmpty {
            if showsProblems { lines += strays.map { "  \($0.owner) does not have block \($0.cidr) (\($0.state))" } }
            lines.append("Found \(strays.count) block affinities without their block, which mean nothing.")
        }
        // calicoctl ends at the first of these.
        if !unreadable.isEmpty {
            lines += unreadable.map { "  \($0.problem)" }
            lines.append("Found \(unreadable.count) records that cannot be read.")
        }
        return lines
    }
}

extension ConsistencyCheck.Allocation {
    /// `Main:HANDLE Extra:namespace=shop,pod=cart`, sorted by name.
    fileprivate var attributeText: String {
        let extra = attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        return "Main:\(handle ?? "<none>") Extra:\(extra)"
    }
}

extension ConsistencyCheck.UnknownCause {
    /// A clause, with what can be done about it.
    fileprivate var text: String {
        switch self {
        case .noPool: "no IP pool has it"
        case .inactivePool(let name): "IP pool \(name) is disabled or being deleted"
        case .noBlock(let cidr): "there is no block \(cidr)"
        case .free(let block): "in block \(block) it is free, so that another pod may get it"
        case .coolingDown(let block, let since): "it was released at \(since), and cools down in block \(block)"
        case .unreadableBlock(let cidr): "the record of block \(cidr) cannot be read"
        }
    }
}

extension ConsistencyCheck.Use {
    /// What an address is for; `nil` for none, which is told elsewhere.
    fileprivate var text: String? {
        switch self {
        case .endpoint(let owner): "in use by \(owner)"
        case .tunnel(let node): "in use by the tunnel of \(node)"
        case .loadBalancer: "in use by a service"
        case .windowsReserved: "set aside for Windows"
        case .coolingDown: "cooling down"
        case .unknown: "not judged, as the record of an endpoint cannot be read"
        case .none, .recent: nil
        }
    }
}
