import ArgumentParser
import IPAM

extension IPAMCommand {
    struct Configure: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change the settings of IPAM for the whole cluster.",
            discussion: """
                Settings that are not given stay as they are; ipam show --show-configuration shows them. Settings that \
                cannot be together are refused, and nothing is changed then. Nodes go by the new ones from their next ADD on.

                EXAMPLES
                  swiftletctl ipam configure --strictaffinity true --max-blocks-per-host 4
                  swiftletctl ipam configure --ip-cooldown-seconds 30

                \(Manual.ends())
                """
        )

        enum Persistence: String, ExpressibleByArgument, CaseIterable {
            case enabled = "Enabled"
            case disabled = "Disabled"
        }

        /// `true` and `false`, for completion too; calicoctl takes the other words that Go has for them.
        enum Switch: String, ExpressibleByArgument, CaseIterable {
            case `true`, `false`

            init?(argument: String) {
                switch argument.lowercased() {
                case "true", "t", "1": self = .true
                case "false", "f", "0": self = .false
                default: return nil
                }
            }
        }

        @Option(
            name: .customLong("strictaffinity"),
            help: ArgumentHelp(
                "Whether nodes never borrow from each other's blocks. At first false.",
                valueName: "boolean"
            )
        )
        var strictAffinity: Switch?

        @Option(
            help: ArgumentHelp(
                "How many blocks of a family a node may have, up to 1000000. At first 0, which stands for 20; "
                    + "anything else needs strict affinity.",
                valueName: "number"
            )
        )
        var maxBlocksPerHost: Int?

        @Option(
            name: .customLong("kubevirt-ip-persistence"),
            help: ArgumentHelp("Kept for Calico: whether VMs keep addresses.", valueName: "setting")
        )
        var persistence: Persistence?

        @Option(
            help: ArgumentHelp(
                "The least time between the release of an address and its next use, up to 1200. At first 0.",
                valueName: "seconds"
            )
        )
        var ipCooldownSeconds: Int?

        @OptionGroup var store: StoreOptions

        func validate() throws {
            if strictAffinity == nil, maxBlocksPerHost == nil, persistence == nil, ipCooldownSeconds == nil {
                throw ValidationError("Nothing to set; name at least one setting.")
            }
            var configuration = IPAMConfiguration()
            // What depends on other settings is seen when these are known.
            configuration.strictAffinity = true
            change(&configuration)
            configuration.strictAffinity = true
            if let problem = configuration.problem { throw ValidationError(problem) }
        }

        private func change(_ configuration: inout IPAMConfiguration) {
            if let strictAffinity { configuration.strictAffinity = strictAffinity == .true }
            if let maxBlocksPerHost { configuration.maxBlocksPerHost = maxBlocksPerHost }
            if let persistence { configuration.kubeVirtVMAddressPersistence = persistence.rawValue }
            if let ipCooldownSeconds { configuration.ipCooldownSeconds = ipCooldownSeconds }
        }

        func run() async throws {
            try await store.administer(creating: true) { administration in
                do throws(IPAMError) {
                    try await administration.configure(change)
                } catch {
                    guard case .invalidRequest(let problem) = error else { throw error }
                    throw Failure(
                        status: .error,
                        message: "\(problem); see swiftletctl ipam show --show-configuration, and set both at once"
                    )
                }
                let settings: [(String, String?)] = [
                    ("StrictAffinity", strictAffinity?.rawValue),
                    ("MaxBlocksPerHost", maxBlocksPerHost.map { "\($0)" }),
                    ("KubeVirtVMAddressPersistence", persistence?.rawValue),
                    ("IPCooldownSeconds", ipCooldownSeconds.map { "\($0)" }),
                ]
                for case (let name, let value?) in settings { Output.print("Successfully set \(name) to: \(value)") }
            }
        }
    }
}
