import ArgumentParser
import ClusterClient
import IPAM
import Reports
import Version

struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of swiftletctl, and of the cluster.",
        discussion: """
            The cluster's version and type are those in its ClusterInformation, which has a version where Calico is or \
            was; what it does not have is unknown. When the store cannot be reached, what is known is printed all the same, and the exit \
            status is 5. The commit that swiftletctl was built from is printed where the sources were those of an archive.

            EXAMPLES
              swiftletctl version
              swiftletctl version --client -o json

            \(Manual.ends())
            """
    )

    @Flag(help: "Only the version of swiftletctl; no store is asked.")
    var client = false

    @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
    var output = TextFormat.text

    @OptionGroup var store: StoreOptions

    func run() async throws {
        guard !client else { return try print(nil) }
        do {
            try await store.use { store in
                let record = try await store.get(ClusterInformation.recordKey("default"))
                try print(.some(try record.map { try ClusterInformation($0) }))
            }
        } catch {
            try print(nil)
            throw error
        }
    }

    private func print(_ cluster: ClusterInformation??) throws {
        let report = VersionReport(client: swiftletVersion, commit: swiftletCommit, cluster: cluster)
        Output.print(try output.text(report.text, json: report.json()))
    }
}
