import ClusterClient
import KubernetesAPI
import Logging
import NetworkTypes

/// Owns what is known and wanted, and sees to it that the backend has it.
///
/// An idle controller applies a change at once. While a commit runs, changes queue up as dirty services, and all of
/// them go into the next commit.
public actor ServiceController {
    /// Makes the backend for these surroundings. What an earlier one programmed, it takes over.
    public typealias MakeBackend = @Sendable (Surroundings) throws -> any ServiceBackend

    private let planner: ServicePlanner
    private let families: Set<IPFamily>
    private var survey: Survey
    private let addressChanges: AsyncStream<Void>?
    private let makeBackend: MakeBackend
    private var retry: RetryPolicy
    private let observers: [any ControllerObserver]
    private let logger: Logger

    private(set) var catalog: Catalog
    private(set) var table = FrontendTable()
    private(set) var backend: (any ServiceBackend)?
    var hasBackend: Bool { backend != nil }
    /// What the backend was made for.
    private(set) var surroundings = Surroundings()
    /// Whether the surroundings may be others now.
    private var needsSurvey = false
    /// Whether the backend is of an older configuration.
    private var needsNewBackend = false
    /// Nothing is written before every object of these kinds is known (2.14).
    private(set) var awaited: Set<ObjectKind>
    /// Whether the backend has to compare everything: at the start, and after a failure.
    private(set) var needsWholeState = true
    /// What was planned since the last commit that succeeded.
    private var unreportedPlans: [Catalog.ServiceID: ServicePlan] = [:]
    /// What the backend found at its start, of an earlier process, and removed.
    private var unreportedRemovals: Set<Frontend.Key> = []
    private var triggers = ChangeTriggers()
    private var faults = FrontendFaults()
    /// Whether the next commit tries again what was refused.
    private var triesRefused = false
    private var complaints = PlanComplaints()
    /// How often someone else changed what was programmed, and it was put back.
    public private(set) var driftCount = 0
    private var driftTask: Task<Void, Never>?
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - fixedNodeAddress: goes before the address of its family that the Node object has.
    ///   - awaited: the kinds that have to be synced before the first write.
    ///   - families: those that the node has; Services are planned for no others.
    ///   - localDetection: how pods are told from other sources.
    ///   - localAddresses: the addresses of the node's interfaces at this moment, or `nil` when they cannot be told.
    ///   - addressChanges: when they may have changed; `nil` looks from time to time.
    public init(
        node: NodeFacts,
        fixedNodeAddress: IPAddress? = nil,
        planner: ServicePlanner,
        awaiting awaited: Set<ObjectKind>,
        families: Set<IPFamily> = Set(IPFamily.allCases),
        nodePortAddresses: NodePortAddresses = .primary,
        localDetection: LocalDetection = .clusterCIDR([:]),
        localAddresses: @escaping @Sendable () -> Set<IPAddress>? = { LocalNode.addresses() },
        addressChanges: AsyncStream<Void>? = nil,
        retry: RetryPolicy = RetryPolicy(),
        observers: [any ControllerObserver] = [],
        logger: Logger,
        makeBackend: @escaping MakeBackend
    ) {
        self.planner = planner
        self.families = families
        survey = Survey(
            families: families,
            nodePortAddresses: nodePortAddresses,
            localDetection: localDetection,
            localAddresses: localAddresses
        )
        self.addressChanges = addressChanges
        self.makeBackend = makeBackend
        self.awaited = awaited
        self.retry = retry
        self.observers = observers
        self.logger = logger
        catalog = Catalog(node: node, fixedAddress: fixedNodeAddress)
        (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes in what a source delivers.
    public func receive(_ batch: ObjectBatch) {
        let surroundingsChanges = catalog.surroundingsChanges
        for change in batch.changes {
            if case .set(.endpointSlice(let slice)) = change, slice.serviceName == nil {
                logger.warning(
                    "slice ignored: it names no Service",
                    metadata: ["slice": "\(slice.metadata.objectName)", "label": "\(LabelKey.serviceName)"]
                )
            }
            catalog.apply(change)
            if catalog.hasDirtyServices { triggers.take(change) }
        }
        if catalog.surroundingsChanges != surroundingsChanges { needsSurvey = true }
        let wasWaiting = !awaited.isEmpty
        awaited.subtract(batch.synced)
        report(batch)
        if awaited.isEmpty, wasWaiting || needsSurvey || catalog.hasDirtyServices { wakeUp.yield() }
    }

    /// Goes on with other settings, without losing anything.
    ///
    /// - Parameter needsNewBackend: whether they also concern how a backend is made.
    public func reconfigure(
        _ retry: RetryPolicy,
        nodePortAddresses: NodePortAddresses,
        needsNewBackend: Bool = false
    ) {
        self.retry = retry
        survey.nodePortAddresses = nodePortAddresses
        if needsNewBackend, backend != nil {
            (self.needsNewBackend, needsSurvey) = (true, true)
            wakeUp.yield()
        }
        lookAround()
    }

    /// Commits what there is to commit, until the task is cancelled. What is programmed then stays.
    public func run() async {
        await withTaskGroup { group in
            group.addTask { await self.retryRefused() }
            group.addTask { await self.followLocalAddresses() }
            await commitLoop()
            group.cancelAll()
        }
        driftTask?.cancel()
    }

    private func commitLoop() async {
        var failures = 0
        var pace = CommitPace()
        for await _ in wakeUps {
            guard awaited.isEmpty else { continue }
            while !Task.isCancelled, needsWholeState || needsSurvey || catalog.hasDirtyServices || table.hasChanges {
                if let wait = pace.wait(at: .now) {
                    // More may come in meanwhile, or a signal to stop.
                    try? await Task.sleep(for: wait)
                    continue
                }
                let start = ContinuousClock.now
                let isWhole = needsWholeState
                do {
                    try await commit()
                    reportCommit(isWhole, since: start, failure: nil)
                    failures = 0
                    pace.committed(at: .now, minimumInterval: retry.minimumInterval)
                } catch {
                    failures += 1
                    reportCommit(isWhole, since: start, failure: error)
                    let delay = retry.delay(afterFailures: failures)
                    logger.error(
                        "changes could not be programmed; trying again",
                        metadata: ["error": "\(error)", "failures": "\(failures)", "retryIn": "\(delay)"]
                    )
                    try? await Task.sleep(for: delay)  // Ends early when cancelled, and so does the loop.
                }
            }
        }
    }

    private func commit() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        plan()
        for observer in observers { observer.committing(unreportedPlans) }
        let backend = try await currentBackend()
        let refusals: [RefusedFrontend]
        let count: Int
        let isWhole = needsWholeState
        var tried: [FrontendChange]?
        if isWhole {
            let frontends = table.beginWhole()
            count = frontends.count
            // Before the wait: what others change meanwhile has to be looked at again.
            needsWholeState = false
            do {
                let start = try await backend.start(with: frontends)
                refusals = start.refused
                unreportedRemovals.formUnion(start.removed)
            } catch {
                needsWholeState = true
                throw error
            }
        } else {
            let changes = table.beginCommit()
            if changes.isEmpty {
                guard await backend.hasOwnChanges() else { return table.commitSucceeded() }
            }
            count = changes.count
            if !triesRefused { tried = changes }
            do {
                refusals = try await backend.apply(changes)
            } catch {
                table.commitFailed()
                needsWholeState = true  // What is there now is uncertain: have it compared.
                throw error
            }
            table.commitSucceeded()
        }
        for refusal in refusals {
            table.refuse(refusal.change, because: refusal.reason)
            report(refusal)
        }
        for fault in faults.committed(refusals, of: tried, table) {
            happened(ProxyEvent(fault, uid: uid(of: fault.servicePort.service)))
        }
        triesRefused = false
        logger.log(
            level: isWhole ? .info : .debug,
            isWhole ? "everything is programmed" : "changes are programmed",
            metadata: [
                isWhole ? "frontends" : "changes": "\(count)", "refused": "\(refusals.count)",
                "duration": "\(clock.now - start)",
            ]
        )
    }

    /// The backend for the surroundings as they are now; another one when these are quite different.
    private func currentBackend() async throws -> any ServiceBackend {
        let wanted = survey.surroundings(of: catalog, after: surroundings)
        needsSurvey = false
        if let backend, wanted == surroundings, !needsNewBackend { return backend }
        survey.report(wanted, after: backend == nil ? nil : surroundings, to: logger)
        if let backend, !needsNewBackend, !needsWholeState || backend.holdsConnections {
            do {
                if try await backend.adapt(to: wanted) {
                    surroundings = wanted
                    return backend
                }
            } catch {
                needsWholeState = true
                throw error
            }
        }
        let new = try makeBackend(wanted)
        (backend, surroundings, needsWholeState) = (new, wanted, true)
        needsNewBackend = false
        driftTask?.cancel()
        let drifts = new.drifts
        driftTask = Task { [weak self] in
            for await drift in drifts {
                await self?.repair(drift)
                // One repair for all that happens in this time, so that nobody can keep us busy.
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
        return new
    }

    private func repair(_ drift: BackendDrift) {
        driftCount += 1
        for observer in observers { observer.foundDrift() }
        logger.warning(
            "someone else changed what is programmed; putting it back",
            metadata: ["changed": "\(drift.what)", "by": "\(drift.by)", "count": "\(driftCount)"]
        )
        needsWholeState = true
        wakeUp.yield()
    }

    private func followLocalAddresses() async {
        if let addressChanges {
            for await _ in addressChanges where survey.nodePortAddresses != .primary { lookAround() }
        } else {
            while (try? await Task.sleep(for: retry.addressInterval)) != nil {
                // Primary addresses come with the Node object.
                if survey.nodePortAddresses != .primary { lookAround() }
            }
        }
    }

    /// Before everything is known, the backend is made for what is then.
    private func lookAround() {
        guard backend != nil, survey.surroundings(of: catalog, after: surroundings) != surroundings else { return }
        needsSurvey = true
        wakeUp.yield()
    }

    private func plan() {
        triggers.beginCommit()
        for id in catalog.takeDirtyServices() where families.contains(id.family) {
            var plan = ServicePlan.empty
            let service = catalog.service(id.name)
            if let service {
                plan = planner.plan(service, with: catalog.slices(of: id), in: id.family, on: catalog.node)
            }
            if !observers.isEmpty { unreportedPlans[id] = plan }
            complaints.report(plan, of: id, to: logger)
            let conflicts = table.set(plan.frontends, of: id, created: service?.metadata.creationTimestamp)
            for conflict in conflicts {
                logger.warning(
                    "a frontend belongs to another Service port, which is older",
                    metadata: [
                        "frontend": "\(conflict.frontend.key)", "service": "\(conflict.frontend.servicePort)",
                        "owner": "\(conflict.owner.name)",
                    ]
                )
                happened(ProxyEvent(conflict, uid: uid(of: conflict.frontend.servicePort.service)))
            }
        }
    }

    private func report(_ batch: ObjectBatch) {
        guard !observers.isEmpty else { return }
        var (services, endpoints) = (0, 0)
        for change in batch.changes {
            let kind: ObjectKind =
                switch change {
                case .set(let object): object.kind
                case .delete(let key): key.kind
                }
            switch kind {
            case .service: services += 1
            case .endpointSlice, .endpoints: endpoints += 1
            case .node, .serviceCIDR: break
            }
            guard kind == .node, change.key.name.name == catalog.node.name else { continue }
            let node: Node? = if case .set(.node(let node)) = change { node } else { nil }
            for observer in observers { observer.sawNode(node) }
        }
        // Before all is known nothing can be late: a proxy that may not list something is not mended by starting it again.
        let isQueued = awaited.isEmpty && catalog.hasDirtyServices
        for observer in observers { observer.received(services: services, endpoints: endpoints, isQueued: isQueued) }
    }

    /// - Parameter failure: why the commit did not succeed.
    private func reportCommit(_ isWhole: Bool, since start: ContinuousClock.Instant, failure: (any Error)?) {
        guard !observers.isEmpty else { return }
        let succeeded = failure == nil
        var report = CommitReport(
            isWhole: isWhole,
            duration: ContinuousClock.now - start,
            succeeded: succeeded,
            hasMore: catalog.hasDirtyServices,
            plans: succeeded ? unreportedPlans : [:]
        )
        if let failure { report.failedFamilies = (failure as? FamilyFailure)?.families ?? families }
        report.nodePorts = surroundings.nodePorts
        report.frontends = table.counts
        report.refusedFrontends = table.refusedCounts
        if succeeded {
            report.removed = unreportedRemovals
            (unreportedPlans, unreportedRemovals) = ([:], [])
            report.triggers = triggers.commitSucceeded()
        }
        for observer in observers { observer.committed(report) }
    }

    private func happened(_ event: ProxyEvent) {
        for observer in observers { observer.happened(event) }
    }

    private func uid(of service: ObjectName) -> String { catalog.service(service)?.metadata.uid ?? "" }

    private func report(_ refusal: RefusedFrontend) {
        logger.error(
            "a frontend was refused; it will be tried again",
            metadata: [
                "frontend": "\(refusal.frontend.key)", "service": "\(refusal.frontend.servicePort)",
                "reason": "\(refusal.reason)", "retryIn": "\(retry.refusedInterval)",
            ]
        )
    }

    private func retryRefused() async {
        while (try? await Task.sleep(for: retry.refusedInterval)) != nil {
            guard table.hasRefused else { continue }
            table.retryRefused()
            triesRefused = true
            wakeUp.yield()
        }
    }
}
