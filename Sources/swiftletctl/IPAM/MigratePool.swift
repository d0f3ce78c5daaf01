import ArgumentParser
import ClusterClient
import IPAM
import Reports

extension IPAMCommand {
    struct MigratePool: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "migrate-pool",
            abstract: "Let one pool take the place of another, as for another block size.",
            discussion: """
                Block size and prefix of a pool cannot be changed; so a new pool takes its place, step by step. Create the \
                new one, then run this: it disables the old pool, so that new pods get addresses of the new one, and lists \
                the pods that have addresses of the old one. Make these anew as it suits (kubectl rollout restart). Run \
                it again whenever you like: when no address of the old pool is in use any more, it is deleted.

                Pods that run keep their addresses, and nothing is done to them. To stop half way, and go on with the old \
                pool, set its disabled to false with apply.

                EXAMPLES
                  swiftletctl apply -f small.yaml
                  swiftletctl ipam migrate-pool default small --dry-run
                  swiftletctl ipam migrate-pool default small
                  swiftletctl ipam migrate-pool default small -o json | jq -r '.inUse[].owner'

                \(Manual.ends())
                """
        )

        @Argument(help: "The name of the pool that is to go.")
        var old: String

        @Argument(help: "The name of the pool that takes its place.")
        var new: String

        @Flag(help: "Only say how far it is, and what would be done next.")
        var dryRun = false

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = TextFormat.text

        @OptionGroup var store: StoreOptions

        func run() async throws {
            try await store.administer { administration in
                var migration = try await look(administration)
                if !dryRun, migration.stage == .enabled, var pool = migration.old {
                    pool.spec.isDisabled = true
                    try await administration.put(.pool(pool), existing: .replace)
                    migration = try await look(administration)
                }
                if !dryRun, migration.stage == .drained {
                    // What was assigned before the pool was disabled is seen by now; its blocks are given up with it.
                    _ = try await administration.delete(.pool, named: old)
                    migration = try await look(administration)
                }
                Output.print(try output.text(migration.text, json: migration.json()))
            }
        }

        private func look(_ administration: IPAMAdministration) async throws -> PoolMigration {
            do {
                return try await PoolMigration.read(from: old, to: new, administration.datastore)
            } catch let problem as PoolMigration.Problem {
                throw Failure(status: .error, message: problem.description)
            }
        }
    }
}
