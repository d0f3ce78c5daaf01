import ClusterClient
import KubernetesAPI
import Logging
import NetworkTypes

/// Holds the first rules back until the Node is known (1.6), for a limited time.
///
/// It stands between a source and its consumer, and lets everything through at once but that all Nodes are known: the
/// consumer, which waits for that, begins when the gate opens. It stays open from then on.
public actor NodeGate {
    /// How long each thing is waited for.
    public struct Patience: Hashable, Sendable {
        /// For the Node, and an address of it; from the start on.
        public var node: Duration
        /// For `spec.podCIDRs` where they are needed; after ``node``.
        public var podCIDRs: Duration

        public init(node: Duration = .seconds(30), podCIDRs: Duration = .seconds(300)) {
            self.node = node
            self.podCIDRs = podCIDRs
        }

        /// For a source that need not have the Node.
        public static let withoutNode = Patience(node: .zero)
    }

    /// Why the proxy cannot go on.
    public struct Failure: Error, Hashable, CustomStringConvertible {
        public let description: String
    }

    private let name: String
    private let configuration: KubeProxyConfiguration
    private let families: Set<IPFamily>
    private let fixedAddress: IPAddress?
    private let patience: Patience
    private let logger: Logger
    private let consumer: @Sendable (ObjectBatch) async -> Void

    private var node: Node?
    private var isNodeSynced = false
    private var isOpen = false
    /// Whether the Node's address is no longer waited for.
    private var isLate: Bool
    private var toldLack: String?
    private let failures: AsyncStream<Failure>
    private let fail: AsyncStream<Failure>.Continuation

    /// - Parameters:
    ///   - name: of the Node that the proxy runs on.
    ///   - families: those that the kernel has.
    ///   - fixedAddress: goes before the address of its family that the Node has.
    ///   - consumer: is given everything that ``receive(_:)`` gets.
    public init(
        name: String,
        configuration: KubeProxyConfiguration,
        families: Set<IPFamily>,
        fixedAddress: IPAddress? = nil,
        patience: Patience = Patience(),
        logger: Logger,
        consumer: @escaping @Sendable (ObjectBatch) async -> Void
    ) {
        self.name = name
        self.configuration = configuration
        self.families = families
        self.fixedAddress = fixedAddress
        self.patience = patience
        self.logger = logger
        self.consumer = consumer
        isLate = patience.node == .zero
        (failures, fail) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes in what the source delivers, and passes it on.
    public func receive(_ batch: ObjectBatch) async {
        var batch = batch
        for change in batch.changes {
            if case .set(.node(let node)) = change, node.metadata.name == name { self.node = node }
        }
        if batch.synced.contains(.node) { isNodeSynced = true }
        if !isOpen, isNodeSynced {
            batch.synced.remove(.node)
            if lack != nil { tellLack() } else if open() { batch.synced.insert(.node) }
        }
        if !batch.isEmpty { await consumer(batch) }
    }

    /// Keeps the time, until the task is cancelled.
    ///
    /// - Throws: ``Failure``
    public func run() async throws {
        async let clock: Void = keepTime()
        for await failure in failures { throw failure }
        await clock
    }

    private func keepTime() async {
        // Who waits for more than a moment says for what.
        let moment = min(.seconds(1), patience.node)
        guard (try? await Task.sleep(for: moment)) != nil else { return }
        if !isOpen { tellLack() }
        guard (try? await Task.sleep(for: patience.node - moment)) != nil else { return }
        await beLate()
        guard !isOpen, (try? await Task.sleep(for: patience.podCIDRs)) != nil, !isOpen, let lack else { return }
        fail.yield(
            Failure(
                description: "Node \(name): \(lack) is still missing after \(patience.node + patience.podCIDRs), and "
                    + "detectLocalMode NodeCIDR needs it: let the cluster give its nodes prefixes "
                    + "(kube-controller-manager --allocate-node-cidrs), or use another detectLocalMode"
            )
        )
    }

    private func beLate() async {
        guard !isLate else { return }
        if !isOpen, let lack {
            logger.error(
                needsPodCIDRs
                    ? "the Node is still waited for, as detectLocalMode NodeCIDR needs it"
                    : "the Node is not waited for any longer; node ports are served on all addresses until it is known",
                metadata: ["node": "\(name)", "missing": "\(lack)"]
            )
        }
        isLate = true
        guard !isOpen, lack == nil, open() else { return }
        await consumer(ObjectBatch(synced: [.node]))
    }

    private var needsPodCIDRs: Bool { configuration.detectLocalMode == "NodeCIDR" }

    /// What has to be there before the gate opens; `nil` when nothing is missing.
    private var lack: String? {
        if !isLate {
            guard let node else { return "the Node object" }
            if node.addresses.isEmpty { return "an address of the Node" }
        }
        return needsPodCIDRs && node?.podCIDRs.isEmpty ?? true ? "spec.podCIDRs of the Node" : nil
    }

    private func tellLack() {
        guard let lack, lack != toldLack else { return }
        toldLack = lack
        logger.info("waiting before the first rule", metadata: ["node": "\(name)", "for": "\(lack)"])
    }

    /// - Returns: whether the proxy can go on.
    private func open() -> Bool {
        let addresses = node?.addresses ?? []
        let primary = FamilyCheck.primary(addresses, fixedAddress: fixedAddress)
        let check = FamilyCheck(
            configuration,
            primary: primary,
            families: families,
            podCIDRs: node?.podCIDRs ?? []
        )
        for warning in check.warnings { logger.warning("\(warning)") }
        if let fatal = check.fatal {
            fail.yield(Failure(description: "Node \(name): \(fatal)"))
            return false
        }
        isOpen = true
        if let node {
            var metadata: Logger.Metadata = ["node": "\(name)", "primaryFamily": "\(primary)", "zone": "\(node.zone)"]
            for family in families {
                let fixed = fixedAddress?.family == family ? fixedAddress : nil
                metadata["\(family)"] = "\((fixed ?? node.address(in: family))?.description ?? "none")"
            }
            logger.info("the Node is known", metadata: metadata)
        }
        return true
    }
}
