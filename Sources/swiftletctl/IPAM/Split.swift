import ArgumentParser
import ClusterClient
import IPAM
import NetworkTypes

extension IPAMCommand {
    struct Split: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put several smaller pools in the place of one.",
            discussion: """
                The parts are of the same size, and have the old pool's settings; their names are split-POOL-0, \
                split-POOL-1 and so on. Pods keep their addresses, and nodes their blocks, which are in the parts then. \
                A part is at least as large as a block.

                The store has to be locked, so that nothing is assigned meanwhile. Up to 64 parts are made in one \
                transaction, where the store has them: either all of it happens or nothing. More parts, and in a store \
                without transactions (kubernetes) any, are made one by one; what fails is undone, and a split that was \
                killed is finished by running the command again.

                EXAMPLES
                  swiftletctl datastore migrate lock
                  swiftletctl ipam split 4 --name default
                  swiftletctl datastore migrate unlock

                \(Manual.ends())
                """
        )

        @Argument(help: "How many parts: 2, 4, 8 …")
        var number: Int

        @Option(help: ArgumentHelp("The prefix of the pool.", valueName: "cidr"))
        var cidr: String?

        @Option(help: ArgumentHelp("The name of the pool.", valueName: "pool"))
        var name: String?

        @Flag(help: "Only say which pools would be made.")
        var dryRun = false

        @OptionGroup var store: StoreOptions

        func validate() throws {
            guard (cidr == nil) != (name == nil) else { throw ValidationError("Give either --cidr or --name.") }
            guard number > 1, number.nonzeroBitCount == 1 else {
                throw ValidationError("\(number) is no power of 2 greater than 1.")
            }
            if let cidr, CIDR(cidr) == nil { throw ValidationError("\"\(cidr)\" is no prefix.") }
        }

        func run() async throws {
            let prefix = cidr.flatMap { CIDR($0)?.masked }
            try await store.administer { administration in
                func isMeant(_ pool: IPPool) -> Bool { name.map { $0 == pool.name } ?? (pool.cidr == prefix) }
                if dryRun {
                    let pools = try await administration.resources(.pool).compactMap { resource in
                        if case .pool(let pool) = resource { pool } else { nil }
                    }
                    guard let pool = pools.first(where: isMeant) else {
                        throw Failure(status: .error, message: "there is no such IP pool")
                    }
                    for part in try PoolSplit(pool, into: number).parts {
                        Output.print("would create \(part.name) with CIDR \(part.cidr)")
                    }
                    return
                }
                let split = try await administration.split(into: number, isMeant)
                Output.print(
                    "IP Pool \(split.pool.name) was successfully split into \(split.parts.count) smaller pools."
                )
                for part in split.parts { Output.print("Created \(part.name) with CIDR \(part.cidr).") }
                Output.print("You may now unlock the data store.")
            }
        }
    }
}
