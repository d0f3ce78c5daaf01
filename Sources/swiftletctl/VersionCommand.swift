import ArgumentParser

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of swiftletctl."
    )

    static let version = "0.1.0"

    func run() {
        Output.print("swiftletctl \(Self.version)")
    }
}
