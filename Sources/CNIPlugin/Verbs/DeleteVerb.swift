import CNI
import NetworkTypes

/// DEL: removes the link, the record and the addresses of an attachment, as far as there are any (D1).
///
/// The link goes first: an address that some pod still answers to must not be given to another. A store that fails
/// does not keep the link from going.
struct DeleteVerb {
    let call: Call
    let prefixes: String?
    let namespacePath: String?

    func run() async throws(CNIError) {
        let lock = try PodNamespaceLock(namespacePath, until: Deadline(after: .seconds(9)))
        defer { withExtendedLifetime(lock) {} }
        var call = call
        var failure: CNIError?
        var held: [IPAddress] = []
        do throws(CNIError) {
            let source = try BlockAddressSource(call, nil)
            try await source.readAhead()
            let assignments = try await source.assignments()
            held = assignments.map(\.address)
            // A runtime that lost its CNI_ARGS still finds the Pod's record.
            if let workload = assignments.lazy.compactMap({ Workload(attributes: $0.attributes) }).first {
                call.workload = workload
            }
        } catch {
            failure = error
        }
        try PodLink(call, prefixes: prefixes).remove(namespacePath: namespacePath, addresses: held)
        do throws(CNIError) {
            // A store that could not be read is not waited for again.
            if let failure { throw failure }
            try await call.records.remove(call.endpointKey, of: call.id)
            try await BlockAddressSource(call, nil).release()
        } catch {
            call.log.error("\(error)")
            throw error
        }
        call.log.info("detached \(listing(held))")
    }
}
