import ArgumentParser
import ClusterClient
import IPAM
import NetworkTypes
import Reports

extension IPAMCommand {
    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell which pools are considered for a pod, and why others are refused.",
            discussion: """
                Says for each pool whether the pod could get an address from it now, and if not, every reason: the pool \
                is disabled or being deleted, its node selector or namespace selector does not match, it is not for \
                workloads, it has to be asked for, it is full or reserved, the node may have no more blocks. Says \
                where the next address would come from, and the addresses that the pod has. Changes nothing.

                In the Kubernetes store the pod's node, the pools that it asks for and the labels of its namespace \
                are read from the cluster. In the others the node is that of the pod's endpoint. For a pod that does not \
                exist yet, give --node, and what else matters.

                EXAMPLES
                  swiftletctl ipam explain --pod shop/cart
                  swiftletctl ipam explain --pod shop/cart --node worker-2 \\
                    --namespace-label tier=front -o json

                \(Manual.ends())
                """
        )

        @Option(help: ArgumentHelp("The pod.", valueName: "namespace/name"))
        var pod: String

        @Option(help: ArgumentHelp("The node that it runs on, or would run on.", valueName: "node"))
        var node: String?

        @Option(help: ArgumentHelp("A label of the pod's namespace; may be repeated.", valueName: "key=value"))
        var namespaceLabel: [String] = []

        @Option(
            help: ArgumentHelp("Name or prefix of a pool that the pod asks for; may be repeated.", valueName: "pool")
        )
        var pool: [String] = []

        @Option(name: [.customShort("o"), .long], help: ArgumentHelp("How to print.", valueName: "format"))
        var output = TextFormat.text

        @OptionGroup var storeOptions: StoreOptions

        func validate() throws {
            guard pod.split(separator: "/", omittingEmptySubsequences: false).filter({ !$0.isEmpty }).count == 2 else {
                throw ValidationError("--pod is NAMESPACE/NAME, not \"\(pod)\".")
            }
            for label in namespaceLabel where !label.contains("=") {
                throw ValidationError("--namespace-label is KEY=VALUE, not \"\(label)\".")
            }
        }

        func run() async throws {
            try await storeOptions.use { store in
                let parts = pod.split(separator: "/").map(String.init)
                var context = try await PodContext.read(
                    parts[0],
                    parts[1],
                    mayBeMissing: node != nil,
                    store,
                    storeOptions
                )
                context.node = node ?? context.node
                for label in namespaceLabel {
                    let parts = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    context.namespaceLabels[String(parts[0])] = String(parts[1])
                }
                guard let node = context.node else {
                    throw Failure(
                        status: .error,
                        message: "no endpoint of pod \(pod) is recorded, so that its node is not known: give --node"
                    )
                }
                let asked = try await requested(store, context)
                let explanation = try await Allocator(datastore: store, host: node).explain(
                    AssignmentRequest(
                        handle: "explain",
                        ipv4Pools: asked.ipv4,
                        ipv6Pools: asked.ipv6,
                        namespaceLabels: context.namespaceLabels
                    )
                )
                let report = ExplanationReport(pod, explanation, addresses: context.addresses)
                Output.print(try output.text(report.text, json: report.json()))
            }
        }

        /// What --pool says goes before what the pod does; a name tells its family by the pool that has it.
        private func requested(
            _ store: any Datastore,
            _ context: PodContext
        ) async throws -> (ipv4: [String], ipv6: [String]) {
            guard !pool.isEmpty else { return (context.ipv4Pools, context.ipv6Pools) }
            var names: [IPFamily: [String]] = [:]
            let pools = try await IPAMAdministration(datastore: store).resources(.pool)
            for name in pool {
                let known = pools.lazy.compactMap { resource -> IPFamily? in
                    if case .pool(let pool) = resource, pool.name == name { pool.family } else { nil }
                }.first
                guard let family = known ?? CIDR(name)?.family else {
                    throw Failure(status: .error, message: "there is no IP pool \(name)")
                }
                names[family, default: []].append(name)
            }
            return (names[.ipv4] ?? [], names[.ipv6] ?? [])
        }
    }
}
