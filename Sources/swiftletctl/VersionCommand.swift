import ArgumentParser
import Version

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of swiftletctl."
    )

    func run() {
        Output.print("swiftletctl \(swiftletVersion)")
    }
}
