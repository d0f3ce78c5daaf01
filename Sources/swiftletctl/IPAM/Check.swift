import ArgumentParser
import IPAM
import KubernetesAPI
import NetworkTypes
import Reports
import Version

extension IPAMCommand {
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check the records of IPAM against each other and against what is in use.",
            discussion: """
                Finds addresses that are assigned and used by nobody, addresses that are used and not assigned, handles \
                without addresses and addresses without handles, and blocks that contradict themselves. An address is in \
                use when an endpoint is recorded for it or, in the Kubernetes store and with --kubeconfig, when a Pod has it \
                by its status. Nothing is said of any while the record of an endpoint cannot be read, nor of a handle while \
                a block cannot.

                Without --release and --repair nothing is changed. --release frees what has leaked, but for addresses that were \
                assigned less than two minutes ago, as their pods may be starting; --repair also assigns \
                to their pods the addresses that these use, removes handles that nobody has, writes those that are missing, \
                mends the queues of blocks, and deletes affinities without their block. Each change is made only if the record is still what was looked at.

                EXAMPLES
                  swiftletctl ipam check --show-problem-ips
                  swiftletctl ipam check --repair --dry-run
                  swiftletctl ipam check -o report.json
                  swiftletctl ipam check -o - | jq '.allocations[][] | select(.inUse | not)'

                \(Manual.ends([.problemsFound: "there are problems, or some are left"]))
                """
        )

        @Flag(name: .customLong("show-all-ips"), help: "Show every assigned address, and what it is for.")
        var showAllIPs = false

        @Flag(name: .customLong("show-problem-ips"), help: "Show what is wrong one by one. Implied by --show-all-ips.")
        var showProblemIPs = false

        @Option(
            name: [.customShort("o"), .long],
            help: ArgumentHelp(
                "Also write a report in JSON, for ipam release --from-report, mode 0600; - for only that, on stdout.",
                valueName: "file"
            ),
            completion: .file()
        )
        var output: String?

        @Flag(help: "Release the addresses that have leaked.")
        var release = false

        @Flag(help: "Release the addresses that have leaked, and mend assignments, handles and blocks.")
        var repair = false

        @Flag(help: "With --release or --repair: only say what would be done.")
        var dryRun = false

        @OptionGroup var store: StoreOptions

        func validate() throws {
            if dryRun, !release, !repair { throw ValidationError("--dry-run goes with --release or --repair.") }
            if output == "-", release || repair {
                throw ValidationError("-o - leaves no room for what --release and --repair say; name a file.")
            }
            if let output, ["json", "yaml", "csv", "table", "wide"].contains(output) {
                throw ValidationError(
                    "-o names the file of the report, which is JSON: -o - for stdout, -o ./\(output) for such a file."
                )
            }
        }

        func run() async throws {
            try await store.administer { administration in
                let check = try await look(administration)
                if output != "-" {
                    Output.print(check.text(showsAll: showAllIPs, showsProblems: showAllIPs || showProblemIPs))
                }
                if let output {
                    let file = try RecordOutput(output)
                    try file.write(Array(ConsistencyReport.json(check, version: swiftletVersion).utf8))
                    try file.finish()
                }
                var problemCount = check.problemCount
                if dryRun {
                    showPlan(check)
                } else if release || repair {
                    try await Repair(administration: administration, mendsRecords: repair).run(check)
                    problemCount = try await look(administration).problemCount
                    Output.print("\(problemCount) problems are left.")
                }
                if problemCount > 0 { throw Failure(status: .problemsFound, message: "") }
            }
        }

        private func look(_ administration: IPAMAdministration) async throws -> ConsistencyCheck {
            try await Progress.during("reading pools, blocks, endpoints and handles") {
                ConsistencyCheck(try await administration.records(), now: .now)
            }
        }

        private func showPlan(_ check: ConsistencyCheck) {
            for leak in check.releasableLeaks { Output.print("would release \(leak.address)") }
            guard repair else { return }
            for item in check.usedWithoutAllocation where item.canBeAssigned {
                Output.print("would assign \(item.address) to \(item.owner)")
            }
            for handle in check.leakedHandles { Output.print("would delete handle \(handle.id)") }
            for handle in check.missingHandles { Output.print("would write handle \(handle)") }
            for block in check.invalidBlocks { Output.print("would mend block \(block.cidr)") }
            for affinity in check.strayAffinities where !affinity.mayBeClaim {
                Output.print("would delete the affinity of \(affinity.owner) for \(affinity.cidr)")
            }
        }
    }
}

/// Does what `ipam check` promises, and says what became of it.
private struct Repair {
    let administration: IPAMAdministration
    /// Whether more is to be done than to release leaks.
    let mendsRecords: Bool

    func run(_ check: ConsistencyCheck) async throws {
        // Blocks first: what is not sound takes no release.
        if mendsRecords { try await mend(check) }
        var progress = Progress()
        let leaks = check.releasableLeaks
        let released = try await administration.release(leaks: leaks.map(\.identity)) { count in
            progress.show("released \(count.done) of \(leaks.count) addresses")
        }
        progress.end(
            "released \(released.done) addresses; \(released.skipped) had changed; \(released.errors.count) errors"
        )
        for error in released.errors { Output.error(error) }
        guard mendsRecords else { return }
        let deleted = try await administration.delete(handles: check.leakedHandles) { count in
            progress.show("deleted \(count.done) of \(check.leakedHandles.count) handles")
        }
        progress.end("deleted \(deleted.done) handles; \(deleted.skipped) had changed; \(deleted.errors.count) errors")
        for error in deleted.errors { Output.error(error) }
        // One that may be a claim under way is left to ipam gc, which waits.
        for affinity in check.strayAffinities where !affinity.mayBeClaim {
            guard try await administration.delete(affinity: affinity) else { continue }
            Output.print("deleted the affinity of \(affinity.owner) for \(affinity.cidr)")
        }
    }

    private func mend(_ check: ConsistencyCheck) async throws {
        for block in check.invalidBlocks where try await administration.mend(block: block.cidr) {
            Output.print("mended block \(block.cidr)")
        }
        for handle in check.missingHandles {
            let blocks = Set(check.allocations.filter { $0.handle == handle }.map(\.block))
            try await administration.restore(handle: handle, of: blocks)
            Output.print("wrote handle \(handle)")
        }
        for item in check.usedWithoutAllocation where item.canBeAssigned {
            do throws(IPAMError) {
                try await administration.assign(item)
                Output.print("assigned \(item.address) to \(item.owner)")
            } catch {
                // Others can be mended all the same.
                if case .datastore = error { throw error }
                Output.error("\(item.address) was not assigned to \(item.owner): \(error)")
            }
        }
    }
}
