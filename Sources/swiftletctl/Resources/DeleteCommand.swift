import ArgumentParser
import IPAM

struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete resources.",
        discussion: """
            Those that are named, or those of a file, whatever else it says of them. The addresses of a pool that is \
            deleted stay with their pods until these end. Without its IPAMConfiguration a cluster has the default settings.

            \(ResourceManual.kinds)

            EXAMPLES
              swiftletctl delete ippool old-pool
              swiftletctl delete -f pools.yaml --ignore-not-found

            \(Manual.ends())
            """
    )

    @Argument(help: "The kind of resource, in any case, singular or plural.")
    var kind: ResourceKindArgument?

    @Argument(help: "The names of the resources.")
    var names: [String] = []

    @OptionGroup var resources: ResourceFiles

    @Flag(
        name: [.long, .customLong("skip-not-exists")],
        help: "A resource that does not exist is no error."
    )
    var ignoreNotFound = false

    @OptionGroup var store: StoreOptions

    func validate() throws {
        let hasFiles = !resources.files.isEmpty
        guard hasFiles != (kind != nil), hasFiles || !names.isEmpty else {
            throw ValidationError("Give a kind and names, or -f.")
        }
    }

    func run() async throws {
        var targets: [(kind: ManagedResource.Kind, name: String)] = []
        if let kind {
            targets = names.map { (kind.kind, $0) }
        } else {
            targets = try ResourceDocuments(resources.files).entries.map { ($0.resource.kind, $0.resource.name) }
        }
        for target in targets { try store.requireKept(target.kind) }
        try await store.administer { administration in
            for (kind, name) in targets {
                let existed = try await Progress.during("deleting \(kind.rawValue) \(name)") {
                    try await administration.delete(kind, named: name)
                }
                if existed {
                    Output.print("\(kind.rawValue.lowercased())/\(name) deleted")
                } else if !ignoreNotFound {
                    throw Failure.notFound(kind, name)
                }
            }
        }
    }
}
