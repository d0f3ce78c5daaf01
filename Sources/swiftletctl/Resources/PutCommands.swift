import ArgumentParser

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Make resources what a file says, whether they exist or not.",
        discussion: """
            Documents are checked first, all of them, so that a mistake in one changes nothing. Of a pool that exists, \
            cidr and blockSize cannot be changed. \(ResourceManual.documents)

            \(ResourceManual.kinds)

            EXAMPLES
              swiftletctl apply -f pools.yaml
              swiftletctl get ippool default -o yaml > pool.yaml
              $EDITOR pool.yaml
              swiftletctl apply -f pool.yaml
              generate-pools | swiftletctl apply -f -

            \(Manual.ends())
            """
    )

    @OptionGroup var resources: ResourceFiles
    @OptionGroup var store: StoreOptions

    func validate() throws { try resources.requireSome() }

    func run() async throws { try await resources.put(into: store, existing: .replace) }
}

struct CreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create the resources of a file; one that exists already is an error.",
        discussion: """
            Documents are checked first, all of them, so that a mistake in one changes nothing. \
            \(ResourceManual.documents)

            \(ResourceManual.kinds)

            EXAMPLES
              swiftletctl create -f pool.yaml
              swiftletctl create -f /etc/swiftlet/pools.d --skip-existing

            \(Manual.ends())
            """
    )

    @OptionGroup var resources: ResourceFiles

    @Flag(
        name: [.long, .customLong("skip-exists")],
        help: "Leave a resource that exists already as it is; that is no error."
    )
    var skipExisting = false

    @OptionGroup var store: StoreOptions

    func validate() throws { try resources.requireSome() }

    func run() async throws { try await resources.put(into: store, existing: skipExisting ? .keep : .refuse) }
}
