import ArgumentParser
import ClusterClient
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
                use when an endpoint is recorded for it or, in the Kubernetes store, when a Pod has it by its status. One \
                that was assigned less than two minutes ago is not judged, as its pod may be starting; nor is any while \
                the record of an endpoint cannot be read, nor a handle while a block cannot.

                Without --release and --repair nothing is changed. --release frees what has leaked; --repair also removes \
                handles that nobody has, writes those that are missing, and mends the queues of blocks. Each change is \
                made only if the record is still what was looked at. Exits 3 when there are problems, or when some are left.

                EXAMPLES
                  swiftletctl ipam check --show-problem-ips
                  swiftletctl ipam check --repair --dry-run
                  swiftletctl ipam check -o report.json
                """
        )

        @Flag(name: .customLong("show-all-ips"), help: "Show every assigned address, and what it is for.")
        var showAllIPs = false

        @Flag(name: .customLong("show-problem-ips"), help: "Show what is wrong one by one. Implied by --show-all-ips.")
        var showProblemIPs = false

        @Option(
            name: [.customShort("o"), .long],
            help: ArgumentHelp("Also write a report for ipam release --from-report, mode 0600.", valueName: "file"),
            completion: .file()
        )
        var output: String?

        @Flag(help: "Release the addresses that have leaked.")
        var release = false

        @Flag(help: "Release the addresses that have leaked, and mend handles and blocks.")
        var repair = false

        @Flag(help: "With --release or --repair: only say what would be done.")
        var dryRun = false

        func validate() throws {
            if dryRun, !release, !repair { throw ValidationError("--dry-run goes with --release or --repair.") }
        }

        func run() async throws {
            let administration = try Store.administration()
            try await Failure.translating {
                let check = ConsistencyCheck(try await administration.records(), now: .now)
                Output.print(check.text(showsAll: showAllIPs, showsProblems: showAllIPs || showProblemIPs))
                if let output {
                    let file = try RecordOutput(output)
                    try file.write(Array(ConsistencyReport.json(check, version: swiftletVersion).utf8))
                    try file.finish()
                }
                guard release || repair else {
                    if check.problemCount > 0 { throw Failure(status: .problemsFound, message: "") }
                    return
                }
                if dryRun {
                    show(check)
                    if check.problemCount > 0 { throw Failure(status: .problemsFound, message: "") }
                    return
                }
                try await mend(check, administration)
                let after = ConsistencyCheck(try await administration.records(), now: .now)
                Output.print("\(after.problemCount) problems are left.")
                if after.problemCount > 0 { throw Failure(status: .problemsFound, message: "") }
            }
        }

        private func show(_ check: ConsistencyCheck) {
            for leak in check.leaks { Output.print("would release \(leak.address)") }
            guard repair else { return }
            for handle in check.leakedHandles { Output.print("would delete handle \(handle.id)") }
            for handle in check.missingHandles { Output.print("would write handle \(handle)") }
            for block in check.invalidBlocks { Output.print("would mend block \(block.cidr)") }
        }

        private func mend(_ check: ConsistencyCheck, _ administration: IPAMAdministration) async throws {
            // Blocks first: what is not sound takes no release.
            if repair {
                for block in check.invalidBlocks where try await administration.mend(block: block.cidr) {
                    Output.print("mended block \(block.cidr)")
                }
                for handle in check.missingHandles {
                    let blocks = Set(check.allocations.filter { $0.handle == handle }.map(\.block))
                    try await administration.restore(handle: handle, of: blocks)
                    Output.print("wrote handle \(handle)")
                }
            }
            let released = try await administration.release(leaks: check.leaks.map(\.identity)) {
                Progress.show("released \($0.done) addresses")
            }
            Progress.end(
                "released \(released.done) addresses; \(released.skipped) had changed; \(released.errors.count) errors"
            )
            for error in released.errors { Output.error(error) }
            guard repair else { return }
            let deleted = try await administration.delete(handles: check.leakedHandles) {
                Progress.show("deleted \($0.done) handles")
            }
            Progress.end(
                "deleted \(deleted.done) handles; \(deleted.skipped) had changed; \(deleted.errors.count) errors"
            )
            for error in deleted.errors { Output.error(error) }
        }
    }

    struct Configure: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change the settings of IPAM for the whole cluster.",
            discussion: """
                Settings that are not given stay as they are; ipam show --show-configuration shows them.

                EXAMPLES
                  swiftletctl ipam configure --strictaffinity true --max-blocks-per-host 4
                  swiftletctl ipam configure --ip-cooldown-seconds 30
                """
        )

        enum Persistence: String, ExpressibleByArgument, CaseIterable {
            case enabled = "Enabled"
            case disabled = "Disabled"
        }

        @Option(
            name: .customLong("strictaffinity"),
            help: ArgumentHelp("Whether nodes never borrow from each other's blocks.", valueName: "true|false")
        )
        var strictAffinity: Bool?

        @Option(
            help: ArgumentHelp(
                "How many blocks of a family a node may have, up to 1000000; 0 for the default of 20. "
                    + "Anything else needs strict affinity.",
                valueName: "number"
            )
        )
        var maxBlocksPerHost: Int?

        @Option(
            name: .customLong("kubevirt-ip-persistence"),
            help: ArgumentHelp("Kept for Calico: whether VMs keep addresses.", valueName: "setting")
        )
        var persistence: Persistence?

        @Option(
            help: ArgumentHelp(
                "The least time between the release of an address and its next use, up to 1200.",
                valueName: "seconds"
            )
        )
        var ipCooldownSeconds: Int?

        func validate() throws {
            if strictAffinity == nil, maxBlocksPerHost == nil, persistence == nil, ipCooldownSeconds == nil {
                throw ValidationError("Nothing to set; name at least one setting.")
            }
        }

        func run() async throws {
            let store = try Store.open()
            try await Failure.translating {
                try await IPAMAdministration(datastore: store).configure { configuration in
                    if let strictAffinity { configuration.strictAffinity = strictAffinity }
                    if let maxBlocksPerHost { configuration.maxBlocksPerHost = maxBlocksPerHost }
                    if let persistence { configuration.kubeVirtVMAddressPersistence = persistence.rawValue }
                    if let ipCooldownSeconds { configuration.ipCooldownSeconds = ipCooldownSeconds }
                }
                let settings: [(String, String?)] = [
                    ("StrictAffinity", strictAffinity.map { "\($0)" }),
                    ("MaxBlocksPerHost", maxBlocksPerHost.map { "\($0)" }),
                    ("KubeVirtVMAddressPersistence", persistence?.rawValue),
                    ("IPCooldownSeconds", ipCooldownSeconds.map { "\($0)" }),
                ]
                for case (let name, let value?) in settings { Output.print("Successfully set \(name) to: \(value)") }
            }
        }
    }
}
