import CNI
import ClusterClient
import NetworkTypes

/// DEL: removes the link, the record and the addresses of an attachment, as far as there are any (D1).
///
/// The link goes first: an address that some pod still answers to must not be given to another. A store that fails
/// does not keep the link from going.
struct DeleteVerb {
    let call: Call
    let prefixes: String?
    let namespacePath: String?

    /// All steps together, so that the last one still fails or writes the journal before the watchdog ends the process.
    static let limit = Duration.seconds(45)

    func run() async throws(CNIError) {
        try await RequestDeadline.within(Self.limit) { () async throws(CNIError) in try await detach() }
    }

    private func detach() async throws(CNIError) {
        var stored = try StoredRelease(call)
        let lock = try PodNamespaceLock(namespacePath, until: Deadline(after: .seconds(9)))
        defer { withExtendedLifetime(lock) {} }
        await stored.look()
        let addresses = stored.addresses
        try PodLink(stored.call, prefixes: prefixes).remove(
            namespacePath: namespacePath,
            addresses: addresses,
            recordedName: stored.recorded?.link?.hostInterfaceName
        )
        TrackedConnections.forget(of: addresses, call.log)
        do throws(CNIError) {
            if let delegate = try IPAMDelegate(call.configuration, path: call.attachment.path) {
                try delegate.delete(call.id, namespacePath: namespacePath)
            }
            try await stored.carryOut()
        } catch {
            call.log.error("\(error)")
            throw error
        }
        call.log.info("detached \(listing(addresses))")
    }
}
