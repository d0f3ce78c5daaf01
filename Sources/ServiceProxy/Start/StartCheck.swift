import FoundationEssentials
import Logging
import NFTables
import NetworkTypes

/// What has to be so before the proxy can work (2.14, step 5): the kernel is new enough, and takes our tables.
public struct StartCheck: Sendable {
    /// Why the proxy cannot work here, and what helps.
    public struct Failure: Error, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// Not empty: kernels of any version will do.
    public static let skipVariable = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK"

    /// - Parameters:
    ///   - version: of the kernel; `nil` when it is not known.
    ///   - environment: of the process.
    static func check(_ version: KernelVersion?, environment: [String: String]) throws(Failure) {
        guard let version, version < .oldest, environment[skipVariable]?.isEmpty ?? true else { return }
        throw Failure(
            description:
                "kernel \(version) is too old: \(KernelVersion.oldest) is needed; set the environment variable "
                + "\(skipVariable) to try all the same"
        )
    }

    /// Has the kernel carry out a table like ours up to the point where it would count, in each family: this needs all
    /// that the table will need, permission and kernel modules, and leaves nothing behind.
    static func probe(_ kernel: some NFTablesKernel, families: Set<IPFamily>) throws(Failure) {
        for family in families.sorted(by: { $0.rawValue < $1.rawValue }) {
            // A name of its own, so that what is there of ours does not count.
            let table = ServiceTable(family: family, options: NFTablesOptions(tableName: "swiftlet-probe"))
            var transaction = Transaction(table: table.table)
            table.addStructure(to: &transaction)
            for scope in Scope.allCases {
                for memory: UInt32 in [0, 60] {
                    let pick = PickChain(marking: .unlessLocal, scope: scope, isNear: false, count: 1, memory: memory)
                    transaction.add(Chain(pick.name))
                    for rule in table.rules(of: pick) { transaction.add(rule) }
                }
            }
            do {
                try kernel.check(transaction)
            } catch {
                throw Failure(
                    description:
                        "the kernel does not take nftables rules for \(family): \(error); needed are the right "
                        + "to administer the network (CAP_NET_ADMIN) and the kernel modules nf_tables, nft_ct, nft_fib, "
                        + "nft_nat, nft_masq, nft_numgen and nft_reject"
                )
            }
        }
    }

    /// Checks the kernel that this process runs on, in its network namespace. Changes nothing.
    public static func run(logger: Logger) throws {
        let version = KernelVersion.running
        try check(version, environment: ProcessInfo.processInfo.environment)
        let families = LocalNode.families
        try probe(NetfilterSocket(), families: families)
        logger.debug(
            "the kernel takes our rules",
            metadata: ["kernel": "\(version.map { "\($0)" } ?? "unknown")", "families": "\(families.count)"]
        )
    }
}
