import ArgumentParser

struct IPAMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ipam",
        abstract: "Look at the assignment of addresses, and put it right.",
        subcommands: [
            Show.self, Top.self, Explain.self, Check.self, Collect.self, Release.self, Configure.self, Split.self,
            MigratePool.self,
        ]
    )
}
