import CNI
import ClusterClient
import Glibc
import IPAM
import NetworkTypes

/// STATUS: whether an ADD would probably work (3.9). It changes nothing and makes nothing.
struct StatusVerb {
    let configuration: NetworkConfiguration
    /// The directories of CNI_PATH, where the main plugin finds another IPAM plugin; `nil` for `swiftlet-ipam` itself.
    let path: [String]?

    /// Throws code 50 with the reason why an ADD would fail, or 51 when another IPAM plugin says that the pods that there
    /// are suffer too.
    func run() async throws(CNIError) {
        // The watchdog answers after two seconds; a store that does not is named before.
        let deadline = ContinuousClock.now + .milliseconds(1600)
        let result = await RequestDeadline.$current.withValue(deadline) { () async -> Result<Void, CNIError> in
            do throws(CNIError) {
                return .success(try await check())
            } catch {
                return .failure(error)
            }
        }
        do throws(CNIError) {
            try result.get()
        } catch {
            // ST2: only the other plugin says so.
            if error.code == .pluginNotAvailableLimitedConnectivity { throw error }
            throw CNIError(.pluginNotAvailable, error.message, details: error.details)
        }
    }

    private func check() async throws(CNIError) {
        // The main plugin would refuse each ADD.
        if path != nil { try Privileges.require() }
        let reader = configuration.reader
        let settings = try StoreSettings(reader)
        let node = try NodeSettings(reader).resolve()
        _ = try LogSettings(reader)
        _ = try (PolicySetup(reader), TimeSettings(reader), DeleteMode(reader))
        _ = try (RouteSettings(configuration), configuration.resolver())
        try await ReadinessGates(reader).check(by: .now + .milliseconds(1000))
        if let path, let delegate = try IPAMDelegate(required: configuration, path: path) {
            // ST2: whether there are addresses is for the other to say.
            _ = try LinkSettings(reader, mtuFile: settings.mtuFile, hasIPv6: false)
            if case .local(let directory) = settings.selection { try Self.checkWritable(directory) }
            return try delegate.passOn(.status)
        }
        let wanted = try AddressSettings(configuration, arguments: .none)
        _ = try LinkSettings(reader, mtuFile: settings.mtuFile, hasIPv6: wanted.families.contains(.ipv6))
        if case .local(let directory) = settings.selection { try Self.checkWritable(directory) }
        let store = try settings.open(node: node, timeLimit: .milliseconds(1000))
        var configured = try BlockAddressSource.configuredPools(configuration)
        if case .kubernetes = settings.selection { configured = [] }
        do {
            if let record = try await store.get(ClusterInformation.recordKey("default")),
                try ClusterInformation(record).spec.datastoreReady == false
            {
                throw CNIError(
                    .pluginNotAvailable,
                    "the store is locked",
                    details: "ClusterInformation.datastoreReady is false"
                )
            }
            // One that cannot be read keeps no pod from an address of another.
            let list = PoolList(try await store.list(.resources(.ipPools)))
            let (stored, missing) = (list.pools, try BlockAddressSource.missing(configured, in: list))
            let labels = try await Self.labels(of: node, neededFor: stored + missing, store)
            let allocator = Allocator(datastore: store, host: node, timeLimit: .milliseconds(1500))
            for family in IPFamily.allCases where wanted.families.contains(family) {
                try await checkRoom(family, wanted.pools[family] ?? [], labels, missing, stored, allocator)
            }
        } catch {
            throw CNIError(any: error)
        }
    }

    /// Whether there is an address of the family in the pools that there are, or in one that an ADD would make.
    private func checkRoom(
        _ family: IPFamily,
        _ names: [String],
        _ labels: [String: String],
        _ missing: [IPPool],
        _ stored: [IPPool],
        _ allocator: Allocator
    ) async throws {
        func isMeant(_ pool: IPPool, by name: String) -> Bool {
            pool.family == family && pool.isEnabled && (pool.name == name || CIDR(name)?.masked == pool.cidr)
        }
        // P3: an ADD needs all that are asked for by name.
        let pools = stored + missing
        if let unknown = names.first(where: { name in !pools.contains { isMeant($0, by: name) } }) {
            throw CNIError(.pluginNotAvailable, "the \(family) pool \(unknown) does not exist, or is not enabled")
        }
        func isUsable(_ pool: IPPool) -> Bool {
            pool.family == family && pool.isEnabled && pool.spec.allowedUses.contains(.workload)
                && (names.isEmpty
                    ? pool.spec.assignmentMode == .automatic && Self.selects(pool, labels)
                    : names.contains { isMeant(pool, by: $0) })
        }
        if missing.contains(where: isUsable) { return }
        let usable = stored.filter(isUsable)
        guard !usable.isEmpty else {
            throw CNIError(.pluginNotAvailable, "there is no usable IP pool for \(family)")
        }
        guard try await allocator.hasRoom(in: usable) else {
            throw CNIError(
                .pluginNotAvailable,
                "the IP pools are exhausted",
                details: "no \(family) address is left in \(usable.map(\.name).joined(separator: ", "))"
            )
        }
    }

    /// The labels of this node; none when no pool asks for any (P4).
    private static func labels(
        of node: String,
        neededFor pools: [IPPool],
        _ store: any Datastore
    ) async throws -> [String: String] {
        guard pools.contains(where: { (try? Selector($0.spec.nodeSelector)) != .all }) else { return [:] }
        return try await store.get(NodeResource.recordKey(node)).map { try NodeResource($0).labels } ?? [:]
    }

    private static func selects(_ pool: IPPool, _ labels: [String: String]) -> Bool {
        (try? Selector(pool.spec.nodeSelector))?.matches(labels) ?? false
    }

    /// Whether the directory, or the one that it would be made in, can be written to.
    private static func checkWritable(_ directory: String) throws(CNIError) {
        var path = directory
        while access(path, F_OK) != 0, errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            path = String(path[..<slash])
        }
        guard access(path, W_OK | X_OK) == 0 else { throw .systemCall("write to", path, errno) }
        var room = statvfs()
        guard statvfs(path, &room) == 0 else { return }
        if isFull(room) { throw .systemCall("write to", path, ENOSPC) }
    }

    /// Whether a file system has no room for a new file. Some have no limit of one kind or the other, and say 0 for it.
    static func isFull(_ room: statvfs) -> Bool {
        room.f_blocks > 0 && room.f_bfree == 0 || room.f_files > 0 && room.f_ffree == 0
    }
}
