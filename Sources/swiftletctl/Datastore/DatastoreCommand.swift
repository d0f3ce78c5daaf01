import ArgumentParser
import ClusterClient
import Stores

struct DatastoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "datastore",
        abstract: "Work on a store as a whole.",
        subcommands: [Migrate.self]
    )
}

extension DatastoreCommand {
    struct Migrate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move records from one store to another.",
            discussion: """
                The environment says which store is meant. So a node's local store becomes a cluster's:

                  swiftletctl datastore migrate lock
                  swiftletctl datastore migrate export -f node.jsonl
                  export DATASTORE_TYPE=etcdv3 ETCD_ENDPOINTS=https://10.0.0.1:2379
                  swiftletctl datastore migrate import -f node.jsonl
                  swiftletctl datastore migrate unlock

                While a store is locked no address is assigned from it; pods that run are not disturbed. An export of a \
                locked store is imported locked: unlock it when all nodes are configured to use it.
                """,
            subcommands: [Export.self, Import.self, Lock.self, Unlock.self]
        )
    }
}

extension DatastoreCommand.Migrate {
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write all records of a store to a file.",
            discussion: """
                The file has one JSON object in each line: a header, then for each record its key and value as \
                Calico keeps them in etcd, then an end with the number of records, so that a file that was cut is \
                known for one. It is made with mode 0600, and replaced only when all of it is written.

                What others write in the meantime may be in it or not, so lock the store first.

                EXAMPLES
                  swiftletctl datastore migrate export -f node.jsonl
                  swiftletctl datastore migrate export | gzip > node.jsonl.gz

                \(Manual.ends())
                """
        )

        @Option(
            name: [.customShort("f"), .long],
            help: "The file to write; - or nothing for stdout.",
            completion: .file()
        )
        var file = "-"

        @OptionGroup var store: StoreOptions

        func run() async throws {
            let type = try store.selection().type.rawValue
            try await store.use { store in
                if try await !DatastoreLock(store).isLocked() {
                    Output.error("the store is not locked: what changes during the export may be missing from it")
                }
                let output = try RecordOutput(file)
                var progress = Progress()
                let count = try await ExportRecords(from: store, named: type).run(
                    write: { try output.write($0) },
                    progress: { progress.show("exported \($0) records") }
                )
                try output.finish()
                progress.end("exported \(count) records")
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put the records of an export into a store.",
            discussion: """
                Nothing is overwritten: a record that is there and says the same is left as it is, one that says \
                something else ends the import. An import that was cut short can be repeated.

                Into the Kubernetes store no nodes are put, which are Kubernetes' own, and endpoints only of Pods \
                that exist; what was left out is listed.

                EXAMPLES
                  swiftletctl datastore migrate import -f node.jsonl
                  zcat node.jsonl.gz | swiftletctl datastore migrate import

                \(Manual.ends())
                """
        )

        @Option(
            name: [.customShort("f"), .long],
            help: "The file to read; - or nothing for stdin.",
            completion: .file()
        )
        var file = "-"

        @OptionGroup var store: StoreOptions

        func run() async throws {
            try await store.use(creating: true) { store in
                let input = try RecordInput(file)
                var progress = Progress()
                let summary = try await ImportRecords(into: store).run(
                    lines: { try input.next() },
                    progress: { progress.show("imported \($0.created + $0.present + $0.skipped.count) records") }
                )
                for skipped in summary.skipped { Output.error("left out: \(skipped.key): \(skipped.reason)") }
                progress.end(
                    "created \(summary.created) records, \(summary.present) were there already, "
                        + "\(summary.skipped.count) were left out"
                )
            }
        }
    }

    struct Lock: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop the assignment of addresses.",
            discussion: """
                While the store is locked, an ADD fails with code 11, upon which runtimes try again; pods that run, and \
                those that end, are not disturbed. Calico's plugin and ours look at the same lock. Locking what is \
                locked is no error.

                EXAMPLES
                  swiftletctl datastore migrate lock

                \(Manual.ends())
                """
        )

        @OptionGroup var store: StoreOptions

        func run() async throws {
            try await store.use { store in
                let isNew = try await DatastoreLock(store).set(true)
                Output.print(isNew ? "Datastore locked." : "The datastore is locked already.")
            }
        }
    }

    struct Unlock: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go on with the assignment of addresses.",
            discussion: """
                Takes back what lock did. Unlocking what is not locked is no error.

                EXAMPLES
                  swiftletctl datastore migrate unlock

                \(Manual.ends())
                """
        )

        @OptionGroup var store: StoreOptions

        func run() async throws {
            try await store.use { store in
                let isNew = try await DatastoreLock(store).set(false)
                Output.print(isNew ? "Datastore unlocked." : "The datastore is not locked.")
            }
        }
    }
}
