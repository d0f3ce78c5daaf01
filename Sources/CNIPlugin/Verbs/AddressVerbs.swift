import CNI
import ClusterClient
import NetworkTypes

/// The verbs of `swiftlet-ipam`, which gives addresses to other main plugins.
///
/// It records whom it gave them to: without that an address would look leaked, as the main plugin's link is none of ours.
struct AddressVerbs {
    let call: Call

    /// Repeating it gives the same addresses.
    func add(deliver: (NetworkResult) throws(CNIError) -> Void) async throws(CNIError) {
        let limit = try TimeSettings(call.configuration.reader).add
        Watchdog.startForChanges(after: limit + Rollback.limit)
        try await RequestDeadline.within(limit) { () async throws(CNIError) in
            try await assign(deliver: deliver)
        }
    }

    private func assign(deliver: (NetworkResult) throws(CNIError) -> Void) async throws(CNIError) {
        let configuration = call.configuration
        let runtime = try configuration.runtimeConfiguration()
        _ = try DeleteMode(configuration.reader)
        let given = try PodAnnotations(pod: runtime.podAnnotations ?? [:], namespace: [:])
        let arguments = call.attachment.arguments
        let likely = try? AddressSettings(configuration, arguments: arguments, annotations: given).families
        let turn = call.turnToAssign()
        let facts = try await call.readForAdd(likely ?? [.ipv4])
        let wanted = try AddressSettings(configuration, arguments: arguments, annotations: facts.annotations)
        guard wanted.withoutIPAM.isEmpty else {
            throw CNIError(
                .invalidConfiguration,
                "the annotation \(Annotation.addressesWithoutIPAM) is for pods whose main plugin is swiftlet"
            )
        }
        try await call.replay.settle(call.id)
        let stored = try await call.records.find(call.endpointKey)
        let plan = EndpointPlan(stored: stored) { [call] (addresses) throws(CNIError) in
            call.endpoint(addresses, link: nil)
        }
        let source = try BlockAddressSource(call, wanted, facts, recording: plan)
        await call.replay.settleInPassing()
        let held = try await source.held()
        var rollback = Rollback(log: call.log)
        do throws(CNIError) {
            var result: NetworkResult
            var former: WorkloadEndpoint?
            var current = stored?.endpoint
            let granted = source.granting(held)
            if granted != nil {
                // What is in use does not lose its record because a repeated ADD fails.
                if current?.id == call.id { former = current }
            } else {
                rollback.add("release the addresses") { () async throws(CNIError) in try await source.release() }
                if !held.isEmpty { try await source.release() }
            }
            rollback.add("take back the record of the attachment") { [call, former] () async throws(CNIError) in
                if let former { return try await call.records.restore(former) }
                try await call.records.remove(call.endpointKey, of: call.id)
            }
            if let granted {
                result = granted
            } else {
                let grant = try await source.assign()
                result = grant.result
                current = grant.recorded ?? current
            }
            turn.release()
            let endpoint = call.endpoint(result.addresses.map(\.address.address), link: nil)
            if current != endpoint { try await call.record(endpoint, replacing: stored) }
            // Other main plugins set the routes that the IPAM plugin answers with, and hand on its resolver.
            let routes = try RouteSettings(configuration)
            result.routes = routes.routes(granted: [], Set(result.addresses.map(\.address.family)))
            if !runtime.dns.isEmpty { result.dns = runtime.dns }
            try deliver(result)
            call.log.info("assigned \(listing(endpoint.addresses))")
        } catch {
            call.log.error("\(error)")
            await rollback.run()
            throw error
        }
    }

    func delete() async throws(CNIError) {
        try await RequestDeadline.within(DeleteVerb.limit) { () async throws(CNIError) in try await release() }
    }

    private func release() async throws(CNIError) {
        do throws(CNIError) {
            var stored = try StoredRelease(call)
            await stored.look()
            TrackedConnections.forget(of: stored.addresses, call.log)
            try await stored.carryOut()
            call.log.info("released \(listing(stored.addresses))")
        } catch {
            call.log.error("\(error)")
            throw error
        }
    }

    /// Whether the attachment has an address, and, as far as the main plugin tells which, those.
    func check() async throws(CNIError) {
        try await RequestDeadline.within(CheckVerb.limit) { () async throws(CNIError) in try await compare() }
    }

    private func compare() async throws(CNIError) {
        let held = try await BlockAddressSource(call, nil).held()
        guard !held.isEmpty else {
            throw CNIError(.unknownContainer, "container \(call.id.containerID) has no address on this network")
        }
        guard let told = try call.configuration.previousResult()?.addresses.map(\.address.address) else { return }
        let missing = held.filter { !told.contains($0) }
        guard missing.isEmpty else { throw .inconsistent(missing.map { "\($0) is assigned, but not in prevResult" }) }
    }
}
