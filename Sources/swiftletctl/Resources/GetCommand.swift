import ArgumentParser
import IPAM
import JSON
import Reports

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Show resources.",
        discussion: """
            All of a kind, in the order of their names, or those that are named. What is printed as yaml or json can \
            be given to apply; wide and csv have more columns than table.

            \(ResourceManual.kinds)

            EXAMPLES
              swiftletctl get ippools
              swiftletctl get ippools -o wide
              swiftletctl get ippool default -o yaml

            \(Manual.ends([.error: "an error; what is wrong, or missing, is on stderr"]))
            """
    )

    @Argument(help: "The kind of resource, in any case, singular or plural.")
    var kind: ResourceKindArgument

    @Argument(help: "The names of the resources; all of the kind without any.")
    var names: [String] = []

    @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
    var output = ReportFormat.table

    @OptionGroup var store: StoreOptions

    func run() async throws {
        let kind = kind.kind
        try await store.administer { administration in
            var found: [ManagedResource] = []
            var missing: [String] = []
            for name in names {
                let resources = try await administration.resources(kind, named: name)
                if resources.isEmpty { missing.append(name) }
                found += resources
            }
            if names.isEmpty { found = try await administration.resources(kind, leaveOut: Output.leaveOut) }
            if !found.isEmpty || names.isEmpty {
                Output.print(
                    try output.text(
                        table: { ResourceTable.text(kind, found, $0) },
                        json: { document(found, kind).text(indentation: 2) + "\n" }
                    )
                )
            }
            guard missing.isEmpty else {
                let failures = missing.map { Failure.notFound(kind, $0).message }
                throw Failure(status: .error, message: failures.joined(separator: "\n"))
            }
        }
    }

    /// One by its name is printed as itself, several as a list.
    private func document(_ resources: [ManagedResource], _ kind: ManagedResource.Kind) -> JSONValue {
        if names.count == 1, let only = resources.first { return only.document }
        return [
            "apiVersion": .string(IPPool.apiVersion), "kind": .string(kind.rawValue + "List"),
            "items": .array(resources.map(\.document)),
        ]
    }
}
