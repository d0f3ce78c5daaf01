import CNI
import NetworkTypes

/// The verbs of `swiftlet-ipam`, which gives addresses to other main plugins.
///
/// It records whom it gave them to: without that an address would look leaked, as the main plugin's link is none of ours.
struct AddressVerbs {
    let call: Call

    /// Repeating it gives the same addresses.
    func add(deliver: (NetworkResult) throws(CNIError) -> Void) async throws(CNIError) {
        let wanted = try AddressSettings(call.configuration, arguments: call.attachment.arguments)
        let source = try BlockAddressSource(call, wanted)
        try await source.readAhead()
        let held = try await source.held()
        var rollback = Rollback(log: call.log)
        do throws(CNIError) {
            var result = NetworkResult(addresses: held.map { .init($0.hostPrefix) })
            if !wanted.areMet(by: held) {
                rollback.add("release the addresses") { () async throws(CNIError) in try await source.release() }
                if !held.isEmpty { try await source.release() }
                result = try await source.assign()
            }
            let endpoint = call.endpoint(result.addresses.map(\.address.address), link: nil)
            let stored = try await call.records.find(endpoint.key)
            if stored?.endpoint != endpoint {
                rollback.add("remove the record of the attachment") { [call] () async throws(CNIError) in
                    try await call.records.remove(endpoint.key, of: endpoint.id)
                }
                try await call.records.put(endpoint, replacing: stored)
            }
            try deliver(result)
            call.log.info("assigned \(listing(endpoint.addresses))")
        } catch {
            call.log.error("\(error)")
            await rollback.run()
            throw error
        }
    }

    func delete() async throws(CNIError) {
        do throws(CNIError) {
            let source = try BlockAddressSource(call, nil)
            try await source.readAhead()
            try await call.records.remove(call.endpointKey, of: call.id)
            try await source.release()
            call.log.info("released")
        } catch {
            call.log.error("\(error)")
            throw error
        }
    }

    /// Whether the attachment has an address, and, as far as the main plugin tells which, those.
    func check() async throws(CNIError) {
        let held = try await BlockAddressSource(call, nil).held()
        guard !held.isEmpty else {
            throw CNIError(.unknownContainer, "container \(call.id.containerID) has no address on this network")
        }
        guard let told = try call.configuration.previousResult()?.addresses.map(\.address.address) else { return }
        let missing = held.filter { !told.contains($0) }
        guard missing.isEmpty else { throw .inconsistent(missing.map { "\($0) is assigned, but not in prevResult" }) }
    }
}
