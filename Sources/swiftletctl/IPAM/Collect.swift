import ArgumentParser
import Glibc
import IPAM
import Reports
import Stores

extension IPAMCommand {
    struct Collect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "gc",
            abstract: "Take back what nobody uses any more: leak collection.",
            discussion: """
                Looks for addresses whose container is gone, handles without addresses, empty blocks that their nodes \
                do not need, affinities without their block, and addresses that have cooled down in blocks that nobody writes. What is found is only a \
                candidate, as a pod may be starting or ending. What is still there and unchanged after the grace \
                period is taken back: an address only if it is still the assignment that was seen and no endpoint has \
                it, and only with all the other addresses of its container; a block only if it is still empty, and \
                never the last one of a node.

                In the Kubernetes store, what belongs to a node that does not exist is taken back without a grace period, \
                but for an affinity with which a block may be about to be claimed.

                Without --forever it looks twice and ends, at once when there is nothing to wait for. An address whose \
                record names neither a pod nor an interface is left alone, since nobody can tell whether it is in use; \
                see ipam release.

                EXAMPLES
                  swiftletctl ipam gc --dry-run
                  swiftletctl ipam gc --grace 120
                  swiftletctl ipam gc --forever -o json >> /var/log/swiftlet-gc.json

                \(Manual.ends())
                """
        )

        @Option(help: ArgumentHelp("How long something has to be unused.", valueName: "seconds"))
        var grace = Int(LeakCollection.defaultGrace.components.seconds)

        @Flag(help: "Look once, say what was found, and change nothing.")
        var dryRun = false

        @Flag(help: "Go on looking, twice in each grace period, until a signal ends it.")
        var forever = false

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = TextFormat.text

        @OptionGroup var store: StoreOptions

        func validate() throws {
            guard (1...86_400).contains(grace) else { throw ValidationError("--grace is between 1 and 86400 seconds.") }
            if dryRun, forever { throw ValidationError("--dry-run and --forever exclude each other.") }
        }

        func run() async throws {
            let knowsAllNodes = try store.selection().type == .kubernetes
            try await store.administer { administration in
                var collection = LeakCollection(grace: .seconds(grace), knowsAllNodes: knowsAllNodes)
                if dryRun {
                    try print(try await administration.observe(&collection), nil)
                    return
                }
                if forever {
                    try await collectForever(administration, &collection)
                    return
                }
                var plan = try await administration.observe(&collection)
                if plan.hasCandidates {
                    try await wait()
                    plan = try await administration.observe(&collection)
                }
                let outcome = try await Progress.during("taking back what nobody uses") {
                    try await administration.collect(plan)
                }
                try print(plan, outcome)
                if !outcome.errors.isEmpty { throw Failure(status: .error, message: "") }
            }
        }

        private func wait() async throws {
            var progress = Progress()
            progress.end("waiting for \(grace) s, in which what is about to be used will be")
            for passed in 0..<grace {
                progress.show("\(grace - passed) s are left")
                try await Task.sleep(for: .seconds(1))
            }
            progress.clear()
        }

        private func collectForever(
            _ administration: IPAMAdministration,
            _ collection: inout LeakCollection
        ) async throws {
            // As the first process of a container it would not hear them otherwise. Each write is whole in itself.
            for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }
            while true {
                do {
                    let plan = try await administration.observe(&collection)
                    let outcome = try await administration.collect(plan)
                    if outcome != CollectionOutcome() { try print(plan, outcome) }
                } catch let error as IPAMError {
                    // The store comes back; what was seen before is remembered.
                    Output.error("\(error)")
                }
                try await Task.sleep(for: .milliseconds(grace * 500))
            }
        }

        private func print(_ plan: CollectionPlan, _ outcome: CollectionOutcome?) throws {
            let report = CollectionReport(plan, outcome)
            Output.print(try output.text(report.text, json: report.json()))
            for error in outcome?.errors ?? [] { Output.error(error) }
        }
    }
}
