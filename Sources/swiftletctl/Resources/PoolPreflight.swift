import IPAM

extension ResourceDocuments {
    /// Sees before anything is written whether what is to be created is new; of pools ``requirePoolsFit(_:existing:)`` does.
    func requireNew(_ administration: IPAMAdministration) async throws {
        for entry in entries where entry.resource.kind != .pool {
            let (kind, name) = (entry.resource.kind, entry.resource.name)
            try await entry.locating {
                guard try await administration.resources(kind, named: name).isEmpty else {
                    throw IPAMError.invalidRequest("\(kind.rawValue) \(name) exists already")
                }
            }
        }
    }

    /// Sees before anything is written whether the pools of the documents can be put, beside those of the store and beside
    /// each other; so a mistake in one changes nothing. Each is looked at once more when it is written.
    func requirePoolsFit(
        _ administration: IPAMAdministration,
        existing: IPAMAdministration.Existing
    ) async throws {
        let wanted = entries.compactMap { entry -> (pool: IPPool, entry: Entry)? in
            if case .pool(let pool) = entry.resource { (pool, entry) } else { nil }
        }
        guard !wanted.isEmpty else { return }
        // That no new pool is made beside one that cannot be read is seen to where it is written.
        var known = try await administration.resources(.pool, leaveOut: { _ in }).compactMap { resource in
            if case .pool(let pool) = resource { pool } else { nil }
        }
        for (pool, entry) in wanted {
            try await entry.locating {
                if let old = known.first(where: { $0.name == pool.name }) {
                    try Self.require(pool, canReplace: old, existing)
                } else if let other = known.first(where: { $0.cidr.overlaps(pool.cidr) }) {
                    throw IPAMError.invalidPool(
                        name: pool.name,
                        "\(pool.cidr) overlaps \(other.cidr) of pool \(other.name)"
                    )
                } else {
                    known.append(pool)
                }
            }
        }
    }

    private static func require(
        _ pool: IPPool,
        canReplace old: IPPool,
        _ existing: IPAMAdministration.Existing
    ) throws(IPAMError) {
        switch existing {
        case .keep: return
        case .refuse: throw .invalidRequest("IPPool \(pool.name) exists already")
        case .replace:
            guard let change = pool.immutableChange(from: old) else { return }
            throw .invalidPool(name: pool.name, "it exists already, and \(change), which cannot be changed")
        }
    }
}
