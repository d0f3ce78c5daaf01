import CNI
import ClusterClient
import Glibc
import IPAM
import NetworkTypes

/// STATUS: whether an ADD would probably work (3.9). It changes nothing and makes nothing.
struct StatusVerb {
    let configuration: NetworkConfiguration

    /// Throws code 50 with the reason why an ADD would fail.
    func run() async throws(CNIError) {
        do throws(CNIError) {
            try await check()
        } catch {
            throw CNIError(.pluginNotAvailable, error.message, details: error.details)
        }
    }

    private func check() async throws(CNIError) {
        let reader = configuration.reader
        let settings = try StoreSettings(reader)
        _ = try NodeSettings(reader).resolve()
        _ = try LogSettings(reader)
        let wanted = try AddressSettings(configuration, arguments: .none)
        _ = try LinkSettings(reader, mtuFile: settings.mtuFile, hasIPv6: wanted.families.contains(.ipv6))
        try Self.checkWritable(settings.dataDirectory)
        let pools = try await self.pools(settings)
        for family in wanted.families.sorted(by: { $0.rawValue < $1.rawValue }) {
            let names = wanted.pools[family] ?? []
            let usable = pools.contains { pool in
                pool.family == family && pool.isEnabled && pool.spec.allowedUses.contains(.workload)
                    && (names.isEmpty || names.contains(pool.name) || names.contains(pool.cidr.description))
            }
            guard usable else { throw CNIError(.pluginNotAvailable, "there is no usable IP pool for \(family)") }
        }
    }

    /// The pools that there are, and those that an ADD would make.
    private func pools(_ settings: StoreSettings) async throws(CNIError) -> [IPPool] {
        var pools: [String: IPPool] = [:]
        for pool in try BlockAddressSource.configuredPools(configuration) {
            if let problem = pool.problem {
                throw CNIError(.invalidConfiguration, "IP pool \(pool.name): \(problem)")
            }
            pools[pool.name] = pool
        }
        let store = LocalDatastore(dataDirectory: settings.dataDirectory, lockTimeout: .seconds(1))
        do {
            for record in try await store.list(.resources(.ipPools)) {
                let pool = try IPPool(record)
                pools[pool.name] = pool
            }
        } catch let error as DatastoreError {
            throw CNIError(error)
        } catch let error as IPAMError {
            throw CNIError(error)
        } catch {
            throw CNIError(.internal, "\(error)")
        }
        return Array(pools.values)
    }

    /// Whether the directory, or the one that it would be made in, can be written to.
    private static func checkWritable(_ directory: String) throws(CNIError) {
        var path = directory
        while access(path, F_OK) != 0, errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            path = String(path[..<slash])
        }
        guard access(path, W_OK | X_OK) == 0 else { throw .systemCall("write to", path, errno) }
    }
}
